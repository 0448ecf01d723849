// Bindings of module/module.lua for the package spacetimedb 1.12, in the form that its own generator gives them.
import {
  DbConnectionBuilder, DbConnectionImpl, procedures, reducers, reducerSchema, schema, t, table, type DbConnectionConfig,
} from 'spacetimedb-1';
import type { Builder } from './client';

const Shape = t.enum('Shape', { Circle: t.f32(), Square: t.f32(), Nothing: t.unit() });
const Point = t.object('Point', { x: t.f64(), y: t.f64() });

const player = table(
  {
    name: 'player',
    indexes: [{ name: 'id', algorithm: 'btree', columns: ['id'] }],
    constraints: [{ name: 'player_id_key', constraint: 'unique', columns: ['id'] }],
  },
  t.row({ id: t.u32().primaryKey(), name: t.string(), bestScore: t.i64(), title: t.option(t.string()) }),
);
const event = { shape: Shape, path: t.array(Point), blob: t.byteArray(), wide: t.u256(), small: t.i8() };
const eventRow = table(
  { name: 'event_row' },
  t.row({ id: t.u64().primaryKey(), owner: t.identity(), at: t.timestamp(), ...event }),
);

const calls = reducers(
  reducerSchema('put_player', { id: t.u32(), name: t.string(), bestScore: t.i64(), title: t.option(t.string()) }),
  reducerSchema('delete_player', { id: t.u32() }),
  reducerSchema('add_event', event),
  reducerSchema('crash', {}),
);

const module = {
  versionInfo: { cliVersion: '1.12.0' as const },
  tables: schema(player, eventRow).schemaType.tables,
  reducers: calls.reducersType.reducers,
  ...procedures(),
};

type Config = DbConnectionConfig<typeof module>;

export const builder = () =>
  new DbConnectionBuilder<DbConnectionImpl<typeof module>>(module, (config: Config) => new DbConnectionImpl(config)) as
    unknown as Builder;
