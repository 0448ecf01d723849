// The official client, unmodified, against a running server: once over v3 and once forced to v2.
import { Timestamp } from 'spacetimedb';
import { DbConnection } from '../build/module_bindings';
import {
  agreed, connectTo, equal, eventually, expect, it, offerOnly, refusal, runAll, Server, subscribe, unsubscribe, within,
} from './harness';

const server = new Server('module/module.lua');
const connect = (token?: string) => connectTo(server, DbConnection.builder(), token);

it('starts a server', async () => {
  await server.start();
});

for (const protocol of ['v3.bsatn.spacetimedb', 'v2.bsatn.spacetimedb']) {
  const over = `over ${protocol.slice(0, 2)}`;
  const base = protocol.startsWith('v3') ? 1000 : 2000;

  it(`connects ${over} and is told who it is`, async () => {
    if (protocol.startsWith('v3')) offerOnly();
    else offerOnly(protocol);
    const client = await connect();
    equal(agreed.at(-1), protocol, 'the protocol agreed on');
    expect(/^c200[0-9a-f]{60}$/.test(client.identity), `an identity, not ${client.identity}`);
    expect(client.token.split('.').length === 3, 'a token');
    client.db.disconnect();
  });

  it(`comes back ${over} with its token as the same identity`, async () => {
    const first = await connect();
    first.db.disconnect();
    const second = await connect(first.token);
    equal(second.identity, first.identity, 'the identity');
    second.db.disconnect();
  });

  it(`sees ${over} rows come, change and go`, async () => {
    const { db } = await connect();
    const events: string[] = [];
    db.db.player.onInsert((_context, row) => events.push(`+${row.id} ${row.name} ${row.bestScore} ${row.title}`));
    db.db.player.onUpdate((_context, old, row) => events.push(`~${row.id} ${old.name}>${row.name} ${row.title}`));
    db.db.player.onDelete((_context, row) => events.push(`-${row.id} ${row.name}`));
    await subscribe(db, `SELECT * FROM player WHERE id = ${base}`);
    await within('put', db.reducers.putPlayer({ id: base, name: 'ann', bestScore: -5n, title: 'queen' }));
    await within('put', db.reducers.putPlayer({ id: base, name: 'anne', bestScore: 9007199254740993n, title: undefined }));
    equal(db.db.player.id.find(base)?.bestScore, 9007199254740993n, 'a score beyond 2^53');
    await within('put of another', db.reducers.putPlayer({ id: base + 1, name: 'bob', bestScore: 0n, title: undefined }));
    await within('delete', db.reducers.deletePlayer({ id: base }));
    equal(events, [`+${base} ann -5 queen`, `~${base} ann>anne undefined`, `-${base} anne`], 'the events');
    db.disconnect();
  });

  it(`takes ${over} a message that comes in fragments`, async () => {
    const { db } = await connect();
    const name = 'größer 🙂 '.repeat(100000);
    await subscribe(db, `SELECT * FROM player WHERE id = ${base + 9}`);
    await within('put', db.reducers.putPlayer({ id: base + 9, name, bestScore: 0n, title: undefined }));
    expect(db.db.player.id.find(base + 9)?.name === name, 'the long name');
    await within('delete', db.reducers.deletePlayer({ id: base + 9 }));
    db.disconnect();
  });

  it(`gets ${over} a reducer's own words when it is refused, and general ones when it crashes`, async () => {
    const { db } = await connect();
    await subscribe(db, 'SELECT * FROM player');
    const refused = await refusal(within('refusal', db.reducers.deletePlayer({ id: 77 })));
    equal(refused.message, 'nobody has the id 77', 'the refusal');
    const crashed = await refusal(within('crash', db.reducers.crash({})));
    expect(/error/i.test(crashed.message) && !/nothing/.test(crashed.message), `general words, not ${crashed.message}`);
    equal(db.db.player.id.find(4000000) ?? undefined, undefined, 'the row of the crashed call');
    db.disconnect();
  });

  it(`is told ${over} why a subscription was refused`, async () => {
    const { db } = await connect();
    const wrong = await refusal(subscribe(db, 'SELECT * FROM plaier'));
    expect(/plaier/.test(wrong.message), `names the table: ${wrong.message}`);
    const hidden = await refusal(subscribe(db, 'SELECT * FROM secret'));
    expect(/no such table/.test(hidden.message), `a private table is no table: ${hidden.message}`);
    db.disconnect();
  });

  it(`forgets ${over} the rows of a subscription that ends`, async () => {
    const { db } = await connect();
    await within('put', db.reducers.putPlayer({ id: base + 1, name: 'bob', bestScore: 1n, title: undefined }));
    await within('put', db.reducers.putPlayer({ id: base + 2, name: 'eve', bestScore: 2n, title: undefined }));
    const one = await subscribe(db, `SELECT * FROM player WHERE id = ${base + 1}`);
    const both = await subscribe(db, `SELECT * FROM player WHERE id = ${base + 1} OR id = ${base + 2}`);
    equal(db.db.player.count(), 2n, 'rows of both');
    await unsubscribe(both);
    equal([...db.db.player.iter()].map(row => row.id), [base + 1], 'rows that stay');
    await unsubscribe(one);
    equal(db.db.player.count(), 0n, 'rows left');
    db.disconnect();
  });

  it(`carries ${over} enums, nested products, arrays, bytes and wide integers both ways`, async () => {
    const { db, identity } = await connect();
    await subscribe(db, 'SELECT * FROM event_row WHERE owner = :sender');
    const before = db.db.eventRow.count();
    const wide = 2n ** 255n + 12345n;
    await within('add', db.reducers.addEvent({
      shape: { tag: 'Circle', value: 1.5 },
      path: [{ x: 1, y: -2 }, { x: 0.25, y: 1e300 }],
      blob: new Uint8Array([0, 255, 7]),
      wide,
      small: -128,
    }));
    equal(db.db.eventRow.count(), before + 1n, 'rows');
    const row = [...db.db.eventRow.iter()].at(-1)!;
    equal(row.owner.toHexString(), identity, 'the owner');
    expect(Math.abs(Number(row.at.microsSinceUnixEpoch) - Number(Timestamp.now().microsSinceUnixEpoch)) < 60e6, 'the time');
    equal(row.shape, { tag: 'Circle', value: 1.5 }, 'the shape');
    equal(row.path, [{ x: 1, y: -2 }, { x: 0.25, y: 1e300 }], 'the path');
    equal([...row.blob], [0, 255, 7], 'the blob');
    equal(row.wide, wide, 'the wide number');
    equal(row.small, -128, 'the small number');
    db.disconnect();
  });

  it(`keeps ${over} the first rows of an order: one that leaves makes room for its successor`, async () => {
    const { db } = await connect();
    const first = base * 10;
    const put = (id: number, bestScore: bigint) =>
      within('put', db.reducers.putPlayer({ id: first + id, name: `p${id}`, bestScore, title: undefined }));
    for (const id of [1, 2, 3]) await put(id, BigInt(id));
    await subscribe(db, `SELECT * FROM player WHERE id >= ${first} AND id < ${first + 10} ORDER BY best_score DESC LIMIT 2`);
    const shown = () => [...db.db.player.iter()].map(row => row.id - first).sort();
    equal(shown(), [2, 3], 'the first rows');
    await put(4, 10n);
    equal(shown(), [3, 4], 'the rows when a better one has come');
    await within('delete', db.reducers.deletePlayer({ id: first + 4 }));
    equal(shown(), [2, 3], 'the rows when it has gone');
    db.disconnect();
  });

  it(`keeps ${over} a join up to date`, async () => {
    const { db } = await connect();
    const id = base * 10 + 11;
    await subscribe(db, `SELECT a.* FROM player a JOIN player b ON a.id = b.id WHERE b.name = 'joined ${base}'`);
    const put = (name: string) => within('put', db.reducers.putPlayer({ id, name, bestScore: 1n, title: undefined }));
    await put('alone');
    equal(db.db.player.count(), 0n, 'rows without a partner');
    await put(`joined ${base}`);
    equal([...db.db.player.iter()].map(row => row.name), [`joined ${base}`], 'rows with a partner');
    await put('alone again');
    equal(db.db.player.count(), 0n, 'rows whose partner has gone');
    db.disconnect();
  });

  it(`shows ${over} two clients each other's rows`, async () => {
    const [left, right] = [await connect(), await connect()];
    await subscribe(right.db, `SELECT * FROM player WHERE name = 'from left ${base}'`);
    await within('put', left.db.reducers.putPlayer({ id: base + 9, name: `from left ${base}`, bestScore: 3n, title: 'x' }));
    await eventually('the row', () => right.db.db.player.count() === 1n);
    left.db.disconnect();
    right.db.disconnect();
  });

  it(`serves ${over} 50 clients at once`, async () => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => connect()));
    const first = base * 100;
    await Promise.all(clients.map(({ db }) => subscribe(db, `SELECT * FROM player WHERE id >= ${first} AND id < ${first + 50}`)));
    await Promise.all(clients.map(({ db }, idx) =>
      within('put', db.reducers.putPlayer({ id: first + idx, name: `c${idx}`, bestScore: 0n, title: undefined }))));
    for (const { db } of clients) await eventually('50 rows', () => db.db.player.count() === 50n);
    clients.forEach(({ db }) => db.disconnect());
  });
}

it('ends a call that never would, and goes on', async () => {
  const { db } = await connect();
  const stopped = await refusal(within('the end of the loop', db.reducers.spin({})));
  expect(stopped.message.length > 0, 'a reason');
  await within('the next call', db.reducers.putPlayer({ id: 1, name: 'after', bestScore: 0n, title: undefined }));
  db.disconnect();
});

it('keeps what it acknowledged when the server is killed', async () => {
  const before = await connect();
  await within('put', before.db.reducers.putPlayer({ id: 31337, name: 'kept', bestScore: 1n, title: undefined }));
  await server.stop('SIGKILL');
  await server.start();
  const after = await connect(before.token);
  equal(after.identity, before.identity, 'the identity');
  await subscribe(after.db, 'SELECT * FROM player WHERE id = 31337');
  equal(after.db.db.player.id.find(31337)?.name, 'kept', 'the row');
  after.db.disconnect();
});

it('ends the server', async () => {
  await server.stop();
  await server.remove();
});

await runAll();
process.exit(0);
