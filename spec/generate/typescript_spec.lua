--- The TypeScript that `stdb-lua generate` writes, as a compiler sees it. The official client itself runs on such
--- bindings in spec/client.
local program = require "spec.support.program"
local server = require "spec.support.server"

local CLIENT = "spec/client"

local HEAD = 'local stdb = require "stdb"\nlocal t = stdb.types\n'

local EVERYTHING = HEAD .. [[
local Color = t.enum("Color", { "Red", "light_green", "default" })
local Shape = t.enum("Shape", {
  { "Circle", t.f32 }, { "Rect", t.product { { "w", t.f64 }, { "h", t.f64 } } }, "nothing",
  { "Many", t.array(t.option(Color)) },
})
local Point = t.struct("Point", { { "x", t.f32 }, { "class", t.u8 } })
local Deep = t.struct("deep_thing", {
  { "at", Point }, { "maybe", t.option(t.option(Point)) }, { "outcome", t.result(t.array(Shape), t.string) },
})
local Hidden, Unseen = t.struct("Hidden", { { "a", t.u8 } }), t.struct("Unseen", { { "a", t.u8 } })
local Shared = t.struct("Shared", { { "a", t.u8 } })

local everything = stdb.table("everything", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "bool", t.bool }, { "i8", t.i8 }, { "u8", t.u8 }, { "i16", t.i16 }, { "u16", t.u16 }, { "i32", t.i32 }, { "u32", t.u32 },
  { "i64", t.i64 }, { "i128", t.i128 }, { "u128", t.u128 }, { "i256", t.i256 }, { "u256", t.u256 }, { "f32", t.f32 },
  { "f64", t.f64 }, { "string", t.string }, { "bytes", t.bytes }, { "who", t.identity, unique = true },
  { "connection", t.connection_id, index = true }, { "uuid", t.uuid }, { "at", t.timestamp }, { "lasts", t.duration },
  { "schedule", t.schedule_at }, { "unit", t.unit }, { "option", t.option(t.option(t.string)) },
  { "result", t.result(t.u8, t.string) }, { "color", Color, unique = true }, { "shape", Shape }, { "deep", Deep },
  { "anonymous", t.product { { "a", t.u8 }, { "b", t.array(t.product { { "c", t.string } }) } } },
  { "lists", t.array(t.array(t.u32)) }, { "_hidden", t.u8 }, { "__proto__", t.u8 }, { "constructor", t.u8 }, { "class", t.u8 },
  { "camelCase", t.u8 }, { "UPPER", t.u8 }, { "_1st", t.u8 },
  indexes = { { name = "by_two", "i8", "u8" } },
})
stdb.table("default", { public = true, { "color", Color, primary_key = true } })
stdb.table("keyless", { public = true, { "key", t.bytes, primary_key = true }, { "x", t.f64, unique = true },
  { "maybe", t.option(t.u8), index = true } })
stdb.table("Date", { public = true, { "a", t.u8 } })
stdb.table("empty", { public = true })
stdb.table("secret", { { "unseen", Unseen }, { "shared", Shared } })
stdb.table("bell", { public = true, event = true, { "shared", Shared } })
stdb.reducer("do_it", { { "class", t.u8 }, { "shape", Shape }, { "point", t.option(Point) } }, function() end)
stdb.reducer("delete", function() end)
stdb.reducer("import", { { "function", t.string } }, function() end)
stdb.on.connect(function() end)
]]

local VIEWS = [[
stdb.view("my_points", { returns = t.array(Point), primary_key = "class" }, function() end)
stdb.view("ringing", { returns = t.query(everything), anonymous = true }, function() end)
stdb.view("one_hidden", t.option(Hidden), function() end)
]]

local USE = [[
import { DbConnection, tables, reducers, type EventContext, type Everything, type Shape } from './out';

const rect: Shape = { tag: 'Rect', value: { w: 1, h: 2 } };
const nothing: Shape = { tag: 'Nothing' };

export function use(c: DbConnection, row: Everything): void {
  c.reducers.doIt({ class: 1, shape: rect, point: undefined });
  c.reducers.delete({});
  c.reducers.import({ function: 'x' });
  c.db.everything.id.find(3n);
  c.db.everything.who.find(row.who);
  c.db.everything.color.filter({ tag: 'LightGreen' });
  c.db.everything.byTwo.filter([1, 2]);
  c.db.default.color.find(row.color);
  c.db.bell.onInsert((_context: EventContext, bell) => console.log(bell.shared.a, row._1st, row.deep.maybe?.class));
  c.db.myPoints.onUpdate((_context: EventContext, _old, point) => console.log(point.x));
  console.log(c.db.myPoints.class.find(1)?.x, c.db.oneHidden.count(), c.db.ringing.id.find(3n)?.string, tables.ringing);
  console.log(tables.everything.where(one => one.uPPER.eq(3)), reducers, nothing);
  // @ts-expect-error a column has its own type
  console.log(row.string === 3);
  // @ts-expect-error a private table is nobody's business
  console.log(c.db.secret);
}
]]

local PROJECT = [[
{ "compilerOptions": { "target": "ES2022", "module": "ESNext", "moduleResolution": "bundler", "strict": true, "noEmit": true,
  "skipLibCheck": true, "noUnusedLocals": true, "noUnusedParameters": true, "noImplicitOverride": true,
  "noUncheckedIndexedAccess": true, "isolatedModules": true, "verbatimModuleSyntax": true, "lib": ["ES2023", "DOM"],
  "types": [] }, "include": ["**/*.ts"] }
]]

local function output_of(command)
  local pipe = io.popen(("{ %s; } 2>&1; echo \"exit $?\""):format(command))
  local output, code = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
  pipe:close()
  return tonumber(code), output
end

describe("TypeScript bindings", function()
  local folder

  setup(function()
    local code, output = output_of(("cd %s && { [ node_modules/.package-lock.json -nt package-lock.json ] || "
      .. "npm install --no-save --no-audit --no-fund; }"):format(CLIENT))
    assert(code == 0, output)
  end)

  before_each(function()
    folder = server.new_folder()
    output_of(("mkdir %s/project && ln -s \"$PWD/%s/node_modules\" %s/project/"):format(folder, CLIENT, folder))
  end)
  after_each(function() server.remove_folder(folder) end)

  --- Writes the bindings of a module into the project's folder `out`, or another: the exit code, what was said, the
  --- complaint.
  local function generate(module, out)
    server.write_file(folder .. "/module.lua", module)
    return program.run("generate", "--lang", "typescript", "--module-path", folder .. "/module.lua", "--out-dir",
      folder .. "/project/" .. (out or "out"))
  end

  local function text_of(file)
    return server.read_file(folder .. "/project/out/" .. file)
  end

  --- What the compiler complains about, at its strictest.
  local function complaints_about(use)
    server.write_file(folder .. "/project/tsconfig.json", PROJECT)
    if use then server.write_file(folder .. "/project/use.ts", use) end
    local _, output = output_of(("cd %s/project && node node_modules/typescript/bin/tsc -p ."):format(folder))
    return output
  end

  it("of every type, of names that are words of the language, of nothing and of reducers alone satisfy a strict compiler "
    .. "and who uses them", function()
    assert.equal(0, (generate(EVERYTHING .. VIEWS)))
    assert.equal(0, (generate("", "nothing")))
    assert.equal(0, (generate(HEAD .. 'stdb.reducer("alone", function() end)\n', "alone")))
    assert.equal("", complaints_about(USE))
  end)

  it("hold the types that clients can meet, and no others", function()
    assert.equal(0, (generate(EVERYTHING .. VIEWS)))
    local types = text_of "types.ts"
    for _, name in ipairs { "Everything", "Color", "Shape", "Point", "DeepThing", "Shared", "Bell", "Default", "Empty" } do
      assert.truthy(types:find("export type " .. name .. " = ", 1, true), name)
    end
    assert.truthy(types:find("export type Hidden = ", 1, true))
    assert.is_nil(types:find("Unseen", 1, true))
    assert.is_nil(types:find("Secret", 1, true))
    assert.is_nil(text_of "secret_table.ts")
    assert.is_nil(text_of "client_connected_reducer.ts")
  end)

  it("are refused where two names would become one", function()
    local clashes = {
      [ [[stdb.reducer("a", { { "one_two", t.u8 }, { "oneTwo", t.u8 } }, function() end)]] ] = "one_two.*oneTwo",
      [ [[stdb.reducer("set_it", function() end) stdb.reducer("setIt", function() end)]] ] = "set_it.*setIt",
      [ [[stdb.reducer("a", { { "x", t.enum("E", { "left_up", "LeftUp" }) } }, function() end)]] ] = "left_up.*LeftUp",
    }
    for text, names in pairs(clashes) do
      local code, _, complaint = generate(HEAD .. text .. "\n")
      assert.equal(1, code)
      assert.truthy(complaint:find(names) or complaint:find(names:gsub("(.*)%.%*(.*)", "%2.*%1")), complaint)
    end
  end)

  it("are left alone where nothing changed, and removed with what they were of", function()
    assert.equal(0, (generate(EVERYTHING)))
    server.write_file(folder .. "/project/out/own_table.ts", "export {};\n")
    local _, output = generate(EVERYTHING)
    assert.truthy(output:find ", 0 of them changed\n$", output)
    generate(HEAD .. 'stdb.table("bell", { public = true, { "loud", t.bool } })\n')
    assert.is_nil(text_of "everything_table.ts")
    assert.is_nil(text_of "do_it_reducer.ts")
    assert.truthy(text_of "bell_table.ts":find("loud: __t.bool()", 1, true))
    assert.equal("export {};\n", text_of "own_table.ts")
    assert.equal("", complaints_about())
  end)

  it("are the same from a running server as from the file", function()
    local world = server.start { module = EVERYTHING }
    assert.equal(0, (generate(EVERYTHING)))
    local code, output, complaint = program.for_server(world)("generate", "--lang", "typescript", "--database", "world",
      "--out-dir", folder .. "/project/out")
    assert.equal(0, code, complaint)
    assert.truthy(output:find "^%d+ files, 0 of them changed\n$", output)
    world:remove()
  end)

  it("that cannot be written are refused with the reason", function()
    server.write_file(folder .. "/project/out", "in the way")
    local code, _, complaint = generate(EVERYTHING)
    assert.equal(1, code)
    assert.truthy(complaint:find("/project/out", 1, true), complaint)
  end)
end)
