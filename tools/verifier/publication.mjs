// A module's description of itself (RawModuleDefV10), as far as its tables: which there are, and how many ids each takes.

function algebraicType(from) {
  const tag = from.u8();
  const member = () => [from.option(() => from.string()), algebraicType(from)];
  if (tag === 0) from.u32();
  else if (tag === 1 || tag === 2) from.array(member);
  else if (tag === 3) algebraicType(from);
  else if (tag > 19) throw new RangeError(`a type of kind ${tag}`);
}

function typeDef(from) {
  from.array(() => from.string());
  from.string();
  from.u32();
  from.u8();
}

function index(from) {
  from.option(() => from.string());
  from.option(() => from.string());
  if (from.u8() === 2) from.u16();
  else from.array(() => from.u16());
}

function constraint(from) {
  from.option(() => from.string());
  from.u8();
  from.array(() => from.u16());
}

function sequence(from) {
  from.option(() => from.string());
  from.u16();
  for (let bound = 0; bound < 3; bound++) from.option(() => from.skip(16));
  from.skip(16);
}

function tableDef(from) {
  const name = from.string();
  from.u32();
  from.array(() => from.u16());
  const indexes = from.array(() => index(from));
  from.array(() => constraint(from));
  const sequences = from.array(() => sequence(from));
  from.skip(2);
  from.array(() => [from.u16(), from.bytes()]);
  from.u8();
  return { name, partCount: indexes.length + sequences.length };
}

/** The tables in order: [{ name, partCount }], with the number of their indexes and sequences. */
export function publishedTables(from) {
  const sections = from.u32();
  for (let place = 0; place < sections; place++) {
    const section = from.u8();
    if (section === 0) from.array(() => algebraicType(from));
    else if (section === 1) from.array(() => typeDef(from));
    else if (section === 2) return from.array(() => tableDef(from));
    else throw new RangeError(`section ${section} stands before the tables`);
  }
  return [];
}
