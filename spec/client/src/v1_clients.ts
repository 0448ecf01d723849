// The official clients of 1.x, unmodified, against a running server: the newest of them and one of the years before.
import {
  agreed, equal, eventually, expect, it, offerOnly, refusal, runAll, Server, subscribe, unsubscribe, within, type Connected,
} from './harness';
import { builder as builderOf112 } from './v1/bindings_of_1_12';
import { builder as builderOf13 } from './v1/bindings_of_1_3';
import type { Builder, Connection, Player, ReducerEvent, RowEvent } from './v1/client';

type Ending = Connected<Connection> & { ended: Promise<void> };

const server = new Server('module/module.lua');
const person = (id: number, name: string, title?: string): Player => ({ id, name, bestScore: -5n, title });

/** A connection that ends tells so to onDisconnect; 1.3 tells it to onConnectError. */
function connect(builder: Builder, token?: string): Promise<Ending> {
  let end: () => void;
  const ended = new Promise<void>(resolve => (end = resolve));
  const connected = new Promise<Ending>((resolve, reject) => {
    builder
      .withUri(server.url)
      .withModuleName('spec')
      .withToken(token)
      .onConnect((db, identity, received) => resolve({ db, identity: identity.toHexString(), token: received, ended }))
      .onConnectError((_context, error) => { reject(error); end(); })
      .onDisconnect(() => end())
      .build();
  });
  return within('a connection', connected);
}

/** Calls and waits until the client hears of it: these clients have no promise for a call. */
function call(db: Connection, reducer: string, args: object): Promise<ReducerEvent> {
  const heard = new Promise<ReducerEvent>(resolve => {
    const told = (context: { event: ReducerEvent }) => setTimeout(() => resolve(context.event), 0);
    db.reducers[`on${reducer[0]!.toUpperCase()}${reducer.slice(1)}`]!(told);
  });
  db.reducers[reducer]!(args);
  return within(`the outcome of ${reducer}`, heard);
}

async function succeed(db: Connection, reducer: string, args: object): Promise<ReducerEvent> {
  const event = await call(db, reducer, args);
  equal(event.status.tag, 'Committed', `the outcome of ${reducer}`);
  return event;
}

const shown = (db: Connection) => [...db.db.player.iter()].map(row => row.id).sort((left, right) => left - right);

it('starts a server', async () => {
  offerOnly();
  await server.start();
});

for (const [version, newBuilder, base] of [['1.12', builderOf112, 1000], ['1.3', builderOf13, 2000]] as const) {
  const query = `SELECT * FROM player WHERE id >= ${base} AND id < ${base + 1000}`;

  it(`connects with ${version} and is told who it is`, async () => {
    const client = await connect(newBuilder());
    equal(agreed.at(-1), 'v1.bsatn.spacetimedb', 'the protocol agreed on');
    expect(/^c200[0-9a-f]{60}$/.test(client.identity), `an identity, not ${client.identity}`);
    expect(client.token.split('.').length === 3, 'a token');
    client.db.disconnect();
    await within('the end of the connection', client.ended);
  });

  it(`comes back with ${version} and its token as the same identity, and not with a forged one`, async () => {
    const first = await connect(newBuilder());
    const second = await connect(newBuilder(), first.token);
    equal(second.identity, first.identity, 'the identity');
    expect(first.db.connectionId.toHexString() !== second.db.connectionId.toHexString(), 'connections that differ');
    const forged = await refusal(connect(newBuilder(), `${first.token}x`));
    expect(/Failed to verify token/.test(forged.message), `a refusal, not ${forged.message}`);
    first.db.disconnect();
    second.db.disconnect();
  });

  it(`sees with ${version} rows come, change and go, and by whose call`, async () => {
    const { db, identity } = await connect(newBuilder());
    const events: string[] = [];
    const cause = ({ tag, value }: RowEvent) =>
      value && value.callerIdentity.toHexString() === identity ? `${tag} ${value.reducer.name}` : tag;
    const titled = ({ name, title }: Player) => `${name}, ${title}`;
    db.db.player.onInsert(({ event }, row) => events.push(`+ ${titled(row)} by ${cause(event)}`));
    db.db.player.onUpdate(({ event }, old, row) => events.push(`${titled(old)} > ${titled(row)} by ${cause(event)}`));
    db.db.player.onDelete(({ event }, row) => events.push(`- ${titled(row)} by ${cause(event)}`));
    await subscribe(db, `SELECT * FROM player WHERE id = ${base}`);
    await succeed(db, 'putPlayer', person(base, 'ann', 'queen'));
    await succeed(db, 'putPlayer', person(base, 'anne'));
    await succeed(db, 'putPlayer', person(base + 1, 'bob'));
    await succeed(db, 'deletePlayer', { id: base });
    equal(events, [
      '+ ann, queen by Reducer put_player',
      'ann, queen > anne, undefined by Reducer put_player',
      '- anne, undefined by Reducer delete_player',
    ], 'the events');
    db.disconnect();
  });

  it(`takes with ${version} a message that comes in fragments`, async () => {
    const { db } = await connect(newBuilder());
    const name = 'größer 🙂 '.repeat(100000);
    await subscribe(db, `SELECT * FROM player WHERE id = ${base + 9}`);
    await succeed(db, 'putPlayer', person(base + 9, name));
    expect([...db.db.player.iter()][0]?.name === name, 'the long name');
    await succeed(db, 'deletePlayer', { id: base + 9 });
    db.disconnect();
  });

  it(`hears with ${version} of its own calls, with their arguments and its name`, async () => {
    const { db, identity } = await connect(newBuilder());
    const event = await succeed(db, 'putPlayer', person(base + 2, 'größer 🙂', ''));
    equal(event.reducer, { name: 'put_player', args: person(base + 2, 'größer 🙂', '') }, 'the call');
    equal(event.callerIdentity.toHexString(), identity, 'the caller');
    equal(event.callerConnectionId?.toHexString(), db.connectionId.toHexString(), "the caller's connection");
    expect(Math.abs(Number(event.timestamp.microsSinceUnixEpoch / 1000n) - Date.now()) < 60e3, 'the time');
    db.disconnect();
  });

  it(`gets with ${version} a reducer's own words when it is refused, and general ones when it crashes`, async () => {
    const { db } = await connect(newBuilder());
    await subscribe(db, 'SELECT * FROM player');
    const refused = await call(db, 'deletePlayer', { id: 77 });
    equal(refused.status, { tag: 'Failed', value: 'nobody has the id 77' }, 'the refusal');
    const { tag, value } = (await call(db, 'crash', {})).status;
    expect(tag === 'Failed' && /error/i.test(`${value}`) && !/nothing/.test(`${value}`), `general words, not ${value}`);
    expect(!shown(db).includes(4000000), 'no row of the crashed call');
    db.disconnect();
  });

  it(`does not hear with ${version} of a success that it asked not to hear of`, async () => {
    const { db } = await connect(newBuilder());
    await subscribe(db, query);
    let heard = 0;
    db.reducers.onPutPlayer!(() => heard++);
    db.setReducerFlags.putPlayer!('NoSuccessNotify');
    db.reducers.putPlayer!(person(base + 3, 'silent'));
    await eventually('the row', () => shown(db).includes(base + 3));
    await succeed(db, 'deletePlayer', { id: base + 3 });
    equal(heard, 0, 'calls heard of');
    db.disconnect();
  });

  it(`is told with ${version} why a subscription was refused, and goes on`, async () => {
    const { db } = await connect(newBuilder());
    const wrong = await refusal(subscribe(db, 'SELECT * FROM plaier'));
    expect(/plaier/.test(wrong.message), `names the table: ${wrong.message}`);
    const hidden = await refusal(subscribe(db, query, 'SELECT * FROM secret'));
    expect(/no such table/.test(hidden.message), `a private table is no table: ${hidden.message}`);
    equal(shown(db), [], 'rows');
    await subscribe(db, query);
    expect(shown(db).length > 0, 'rows');
    db.disconnect();
  });

  it(`forgets with ${version} the rows of a subscription that ends, but not what others still ask for`, async () => {
    const { db } = await connect(newBuilder());
    const one = `SELECT * FROM player WHERE id = ${base + 4}`;
    await succeed(db, 'putPlayer', person(base + 4, 'eve'));
    await succeed(db, 'putPlayer', person(base + 5, 'dan'));
    const first = await subscribe(db, one);
    const same = await subscribe(db, one);
    const both = await subscribe(db, `${one} OR id = ${base + 5}`, one);
    equal(shown(db), [base + 4, base + 5], 'rows of all');
    await succeed(db, 'putPlayer', person(base + 4, 'eva'));
    await unsubscribe(both);
    equal(shown(db), [base + 4], 'rows that stay');
    await unsubscribe(first);
    equal([...db.db.player.iter()].map(row => row.name), ['eva'], 'the row that stays');
    await unsubscribe(same);
    equal(shown(db), [], 'rows left');
    db.disconnect();
  });

  it(`carries with ${version} enums, nested products, arrays, bytes and wide integers both ways`, async () => {
    const { db, identity } = await connect(newBuilder());
    const event = {
      shape: { tag: 'Circle', value: 1.5 },
      path: [{ x: 1, y: -2 }, { x: 0.25, y: 1e300 }],
      blob: new Uint8Array([0, 255, 7]),
      wide: 2n ** 255n + 12345n,
      small: -128,
    };
    await subscribe(db, 'SELECT * FROM event_row WHERE owner = :sender');
    const heard = await succeed(db, 'addEvent', event);
    const { id: _id, owner, at: _at, ...row } = [...db.db.eventRow.iter()].at(-1)!;
    equal(owner.toHexString(), identity, 'the owner');
    equal(row, event, 'the row');
    equal(heard.reducer.args, event, 'the arguments');
    db.disconnect();
  });

  it(`gets with ${version} all that is public at once, and others' changes`, async () => {
    const left = await connect(newBuilder());
    const right = await connect(newBuilder().withLightMode(true).withCompression('none'));
    const causes = new Set<string>();
    right.db.subscriptionBuilder().subscribeToAllTables();
    const { player, eventRow } = right.db.db;
    await eventually('rows of both tables', () => [player, eventRow].every(table => [...table.iter()].length > 0));
    player.onInsert(({ event }) => causes.add(event.tag));
    await succeed(left.db, 'putPlayer', person(base + 6, 'from left'));
    await eventually('the row', () => shown(right.db).includes(base + 6));
    equal([...causes], ['UnknownTransaction'], 'the causes');
    left.db.disconnect();
    right.db.disconnect();
  });

  it(`finds with ${version} what was acknowledged when the server was ended and has come back`, async () => {
    const before = await connect(newBuilder());
    await succeed(before.db, 'putPlayer', person(base + 7, 'kept'));
    await server.stop();
    await within('the end of the connection', before.ended);
    await server.start();
    const after = await connect(newBuilder(), before.token);
    equal(after.identity, before.identity, 'the identity');
    await subscribe(after.db, `SELECT * FROM player WHERE id = ${base + 7}`);
    equal(shown(after.db), [base + 7], 'the row');
    after.db.disconnect();
  });
}

it('ends the server', async () => {
  await server.stop();
  await server.remove();
});

await runAll();
process.exit(0);
