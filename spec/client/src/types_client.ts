// Every type as a column, an argument and a key, between the official client, our bindings and our server.
import { ConnectionId, Identity, ScheduleAt, TimeDuration, Timestamp, Uuid } from 'spacetimedb';
import { DbConnection, type Color, type Everything, type Shape } from '../build/types_bindings';
import { connectTo, equal as equalTexts, expect, it, offerOnly, refusal, runAll, Server, subscribe, within } from './harness';

/** A variant without payload comes with an empty one. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  const entries = Object.entries(value).map(([name, part]) => [name, plain(part)] as const);
  const isEmpty = (part: unknown) => typeof part === 'object' && part !== null && Object.keys(part).length === 0;
  return Object.fromEntries(entries.filter(([name, part]) => !('tag' in value && name === 'value' && isEmpty(part))));
}

const equal = (actual: unknown, wanted: unknown, what: string) => equalTexts(plain(actual), plain(wanted), what);

const server = new Server('types_module/module.lua');
let db: DbConnection;

const wide = (text: string) => new Identity(text.padStart(64, '0'));

/** Both ends of each type's range, or two values that differ in every part. */
const low: Everything = {
  id: 1, bool: false, u8: 0, i8: -128, u16: 0, i16: -32768, u32: 0, i32: -2147483648, u64: 0n, i64: -(2n ** 63n), u128: 0n,
  i128: -(2n ** 127n), u256: 0n, i256: -(2n ** 255n), f32: -1.5, f64: -1e300, string: '', bytes: new Uint8Array(),
  identity: wide('0'), connection: new ConnectionId(0n), uuid: new Uuid(0n), timestamp: new Timestamp(-(2n ** 63n)),
  duration: new TimeDuration(-(2n ** 63n)), scheduleAt: ScheduleAt.interval(5_000_000n), unit: {}, color: { tag: 'Red' },
  shape: { tag: 'Nothing' }, point: { x: 0, y: -1 }, deep: { at: { x: 0, y: 0 }, path: [], shapes: [], maybe: undefined },
  option: undefined, result: { err: 'no' } as never, list: [], lists: [], products: [],
};
const high: Everything = {
  id: 1, bool: true, u8: 255, i8: 127, u16: 65535, i16: 32767, u32: 4294967295, i32: 2147483647, u64: 2n ** 64n - 1n,
  i64: 2n ** 63n - 1n, u128: 2n ** 128n - 1n, i128: 2n ** 127n - 1n, u256: 2n ** 256n - 1n, i256: 2n ** 255n - 1n, f32: 0.25,
  f64: 5e-324, string: 'größer 🙂\0', bytes: new Uint8Array([0, 255, 10]), identity: wide('f'.repeat(64)),
  connection: new ConnectionId(2n ** 128n - 1n), uuid: Uuid.parse('12345678-9abc-4def-8123-456789abcdef'),
  timestamp: new Timestamp(2n ** 63n - 1n), duration: new TimeDuration(2n ** 63n - 1n),
  scheduleAt: ScheduleAt.time(1_700_000_000_000_000n), unit: {}, color: { tag: 'Blue' },
  shape: { tag: 'Many', value: [{ tag: 'Red' }, undefined, { tag: 'Green' }] }, point: { x: 0.5, y: 1 },
  deep: {
    at: { x: 1, y: 2 }, path: [{ x: 3, y: 4 }],
    shapes: [{ tag: 'Circle', value: 1.5 }, { tag: 'Rect', value: { w: 2, h: 3 } }, { tag: 'Nothing' }],
    maybe: { x: 5, y: 6 },
  },
  option: '', result: { ok: 'yes' } as never, list: [1n, -1n], lists: [['a'], [], ['b', 'c']], products: [{ a: 1 }, { a: 2 }],
};

const connect = () => connectTo(server, DbConnection.builder());

/** The columns of both by name: the client and we need not agree on their order. */
function equalRows(actual: Everything | undefined | null, wanted: Everything, what: string) {
  expect(actual, `${what}: there is no row`);
  equal(Object.keys(actual).sort(), Object.keys(wanted).sort(), `${what}: the columns`);
  for (const [name, value] of Object.entries(wanted)) equal(actual[name as keyof Everything], value, `${what}: ${name}`);
}

it('starts a server whose module holds every type', async () => {
  offerOnly();
  await server.start();
  ({ db } = await connect());
  await subscribe(db, 'SELECT * FROM everything', 'SELECT * FROM pair', 'SELECT * FROM bell');
});

it('takes an argument of each type and shows a column of each', async () => {
  await within('insert', db.reducers.insertEverything(low));
  equalRows(db.db.everything.id.find(1), low, 'the smallest of each');
});

it('takes a whole row as an argument and shows the change of each column', async () => {
  const seen: [Everything, Everything][] = [];
  db.db.everything.onUpdate((_context, before, after) => seen.push([before, after]));
  await within('update', db.reducers.updateEverything({ row: high }));
  equal(seen.length, 1, 'updates');
  equalRows(seen[0]![0], low, 'the row before');
  equalRows(seen[0]![1], high, 'the row after');
  equalRows(db.db.everything.id.find(1), high, 'the row in the cache');
});

it('shows the same to who comes later', async () => {
  const { db: late } = await connect();
  await subscribe(late, 'SELECT * FROM everything');
  equalRows(late.db.everything.id.find(1), high, 'the first rows');
  late.disconnect();
});

it('shows that a row is gone', async () => {
  let gone: Everything | undefined;
  db.db.everything.onDelete((_context, row) => (gone = row));
  await within('delete', db.reducers.deleteEverything({ id: 1 }));
  equalRows(gone, high, 'the deleted row');
  equal(db.db.everything.count(), 0n, 'rows left');
});

/** What the checks below need of a table with a primary key, whatever its type. */
type Keyed<Key> = {
  onInsert(told: (context: never, row: { key: Key; second: number }) => void): void;
  onUpdate(told: (context: never, before: { key: Key }, after: { key: Key; second: number }) => void): void;
  onDelete(told: (context: never, row: { key: Key }) => void): void;
  count(): bigint;
};

/** The package takes these for no keys: to clients, a row that changes goes and comes. */
const keyless = ['f32', 'f64', 'bytes', 'option'];

function keyed<Key>(
  type: string,
  keys: [Key, Key],
  table: () => unknown,
  put: (row: { key: Key; second: number }) => Promise<void>,
  remove: (key: Key) => Promise<void>
) {
  it(`knows rows by a key of type ${type}: they come, change and go`, async () => {
    const rows = table() as Keyed<Key>;
    const events: unknown[] = [];
    rows.onInsert((_context, row) => events.push(['+', row.key, row.second]));
    rows.onUpdate((_context, before, after) => events.push(['~', before.key, after.key, after.second]));
    rows.onDelete((_context, row) => events.push(['-', row.key]));
    await subscribe(db, `SELECT * FROM by_${type}`);
    for (const key of keys) await within('put', put({ key, second: 1 }));
    await within('put again', put({ key: keys[1], second: 2 }));
    await within('delete', remove(keys[0]));
    const refused = await refusal(within('delete again', remove(keys[0])));
    equal(refused.message, 'no such key', 'a key that is gone');
    const change = keyless.includes(type) ? [['+', keys[1], 2], ['-', keys[1]]] : [['~', keys[1], keys[1], 2]];
    equal(events, [['+', keys[0], 1], ['+', keys[1], 1], ...change, ['-', keys[0]]], 'the events');
    equal(rows.count(), 1n, 'rows left');
  });
}

/** Puts and deletes through the reducers of that table; their names are known, their types differ from key to key. */
function byKey<Name extends keyof Everything>(type: Name, accessor: string, keys: [Everything[Name], Everything[Name]]) {
  const name = accessor[0]!.toUpperCase() + accessor.slice(1);
  type Reducers = Record<string, (params: object) => Promise<void>>;
  const call = (verb: string, params: object) => (db.reducers as unknown as Reducers)[verb + name]!(params);
  keyed(type, keys, () => (db.db as unknown as Record<string, unknown>)[accessor], row => call('put', { row }),
    key => call('delete', { key }));
}

for (const type of ['bool', 'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'u64', 'i64', 'u128', 'i128', 'u256', 'i256', 'f32', 'f64',
  'string', 'bytes', 'identity', 'connection', 'uuid', 'timestamp', 'duration', 'color', 'option'] as const) {
  byKey(type, 'by' + type[0]!.toUpperCase() + type.slice(1), [low[type], high[type]]);
}

it('refuses NaN as a key, and knows one zero', async () => {
  const refused = await refusal(within('NaN', db.reducers.putByF64({ row: { key: NaN, second: 1 } })));
  expect(/reducer failed/.test(refused.message), `general words, not ${refused.message}`);
  await within('zero', db.reducers.putByF64({ row: { key: -0, second: 1 } }));
  await within('zero', db.reducers.putByF64({ row: { key: 0, second: 2 } }));
  await within('zero', db.reducers.deleteByF64({ key: -0 }));
});

it('keeps a constraint over two columns and numbers from a sequence of its own steps', async () => {
  await within('put', db.reducers.putPair({ left: 1, right: 'a' }));
  await within('put', db.reducers.putPair({ left: 1, right: 'b' }));
  await refusal(within('the same', db.reducers.putPair({ left: 1, right: 'a' })));
  await within('put', db.reducers.putPair({ left: 2, right: 'a' }));
  const numbers = [...db.db.pair.iter()].map(row => row.n).sort();
  equal([numbers[0], numbers[1], numbers.length], [100, 105, 3], 'the numbers');
});

it('hears of events once, and finds none of them afterwards', async () => {
  const heard: Shape[] = [];
  db.db.bell.onInsert((_context, row) => heard.push(row.shape));
  const rect: Shape = { tag: 'Rect', value: { w: 1, h: 2 } };
  await within('ring', db.reducers.ring({ shape: rect }));
  await within('ring again', db.reducers.ring({ shape: { tag: 'Nothing' } }));
  equal(heard, [rect, rect, { tag: 'Nothing' }, { tag: 'Nothing' }], 'what was heard');
  equal(db.db.bell.count(), 0n, 'events in the cache');
});

it('refuses a value that its bindings do not know', async () => {
  const strange = { tag: 'Violet' } as unknown as Color;
  await refusal(within('put', (async () => db.reducers.putByColor({ row: { key: strange, second: 1 } }))()));
  db.disconnect();
  await server.remove();
});

await runAll();
process.exit(0);
