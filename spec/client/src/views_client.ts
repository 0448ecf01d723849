// Views, schedules and row filters, between the official client, our bindings and our server.
import { ScheduleAt, Timestamp } from 'spacetimedb';
import { DbConnection } from '../build/views_bindings';
import { connectTo, equal, eventually, it, offerOnly, runAll, Server, subscribe, within } from './harness';

const server = new Server('views_module/module.lua');

const connect = () => connectTo(server, DbConnection.builder());

/** What one table's callbacks tell, in the order of telling. */
type Observed<Row> = {
  onInsert(callback: (context: any, row: Row) => void): void;
  onDelete(callback: (context: any, row: Row) => void): void;
  onUpdate?(callback: (context: any, before: Row, after: Row) => void): void;
};
function record<Row>(table: Observed<Row>, name: (row: Row) => string): string[] {
  const seen: string[] = [];
  table.onInsert((_context, row) => seen.push(`+${name(row)}`));
  table.onDelete((_context, row) => seen.push(`-${name(row)}`));
  table.onUpdate?.((_context, before, after) => seen.push(`~${name(before)}>${name(after)}`));
  return seen;
}

let ann: DbConnection;
let ben: DbConnection;

it('starts a server whose module has views, schedules and row filters', async () => {
  offerOnly();
  await server.start();
  ({ db: ann } = await connect());
  ({ db: ben } = await connect());
});

it('sees the one row of its own view come, change and go, and not that of another', async () => {
  await subscribe(ann, 'SELECT * FROM my_general');
  await subscribe(ben, 'SELECT * FROM my_general');
  const [seen, others] = [ann, ben].map(one => record(one.db.myGeneral, row => row.name)) as [string[], string[]];
  await within('promote', ann.reducers.promote({ name: 'Ann' }));
  await within('promote', ann.reducers.promote({ name: 'Anne' }));
  equal([...ann.db.myGeneral.iter()].map(row => row.name), ['Anne'], 'the view');
  await within('retire', ann.reducers.retire({}));
  equal(ann.db.myGeneral.count(), 0n, 'rows left');
  equal([seen[0], seen.at(-1)], ['+Ann', '-Anne'], 'what was told');
  equal(others, [], 'what another was told');
});

it('sees rows of a view with a key change as updates', async () => {
  await subscribe(ann, 'SELECT * FROM ranking');
  const seen = record(ann.db.ranking, row => `${row.owner.isEqual(ann.identity!) ? 'ann' : 'ben'} ${row.soldiers}`);
  await within('enlist', ann.reducers.enlist({ id: 1, name: 'Cid', strength: 5 }));
  await within('enlist', ann.reducers.enlist({ id: 2, name: 'Dan', strength: 6 }));
  await within('enlist', ben.reducers.enlist({ id: 3, name: 'Eve', strength: 7 }));
  await within('dismiss', ben.reducers.dismiss({ id: 3 }));
  await eventually('the last change', () => seen.length === 4);
  equal(seen, ['+ann 1', '~ann 1>ann 2', '+ben 1', '-ben 1'], 'what was told');
});

it('sees rows of a view that is a query change as updates, whoever they belong to', async () => {
  await subscribe(ben, 'SELECT * FROM strong');
  const seen = record(ben.db.strong, row => `${row.name} ${row.strength}`);
  await within('enlist', ann.reducers.enlist({ id: 1, name: 'Cid', strength: 10 }));
  await within('enlist', ann.reducers.enlist({ id: 1, name: 'Cid', strength: 11 }));
  await within('enlist', ann.reducers.enlist({ id: 1, name: 'Cid', strength: 1 }));
  await eventually('the last change', () => seen.length === 3);
  equal(seen, ['+Cid 10', '~Cid 10>Cid 11', '-Cid 11'], 'what was told');
});

it('sees by a row filter what is its own, from the first rows on', async () => {
  await within('enlist', ben.reducers.enlist({ id: 9, name: 'Fay', strength: 3 }));
  for (const one of [ann, ben]) await subscribe(one, 'SELECT * FROM soldier');
  const names = (one: DbConnection) => [...one.db.soldier.iter()].map(row => row.name).sort();
  equal([names(ann), names(ben)], [['Cid', 'Dan'], ['Fay']], 'the first rows');
  const [anns, bens] = [ann, ben].map(one => record(one.db.soldier, row => `${row.name} ${row.strength}`)) as [string[], string[]];
  await within('enlist', ben.reducers.enlist({ id: 9, name: 'Fay', strength: 4 }));
  await within('enlist', ann.reducers.enlist({ id: 9, name: 'Fay', strength: 5 }));
  await eventually('the row to change hands', () => bens.length === 2);
  equal(bens, ['~Fay 3>Fay 4', '-Fay 4'], 'what the first owner was told');
  equal(anns, ['+Fay 5'], 'what the second owner was told');
});

it('sees a schedule row come, its reducer run and the row go', async () => {
  await subscribe(ann, 'SELECT * FROM alarm', 'SELECT * FROM ringing');
  const alarms = record(ann.db.alarm, row => `${row.text} ${row.at.tag}`);
  const soon = new Timestamp(Timestamp.now().microsSinceUnixEpoch + 20_000n);
  await within('set', ben.reducers.setAlarm({ at: ScheduleAt.time(soon.microsSinceUnixEpoch), text: 'tea' }));
  await eventually('the ringing', () => ann.db.ringing.text.find('tea')?.times === 1);
  equal(alarms, ['+tea Time', '-tea Time'], 'what was told');
});

it('sees an interval tick, its row stay, and the end when it is called off', async () => {
  const ticks = record(ann.db.ringing, row => `${row.text} ${row.times}`);
  await within('set', ann.reducers.setAlarm({ at: ScheduleAt.interval(2_000n), text: 'tick' }));
  await eventually('three ticks', () => ticks.length >= 3);
  equal(ticks.slice(0, 3), ['+tick 1', '~tick 1>tick 2', '~tick 2>tick 3'], 'the ticks');
  equal([...ann.db.alarm.iter()].map(row => row.text), ['tick'], 'the row');
  await within('call off', ann.reducers.callOff({ text: 'tick' }));
  equal(ann.db.alarm.count(), 0n, 'rows left');
  ann.disconnect();
  ben.disconnect();
  await server.remove();
});

await runAll();
process.exit(0);
