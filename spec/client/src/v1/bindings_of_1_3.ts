// Bindings of module/module.lua for the package @clockworklabs/spacetimedb-sdk 1.3, as its runtime wants them: types by
// name, and constructors for what a connection offers. A reducer takes and tells its arguments as one object here.
import {
  AlgebraicType, BinaryWriter, DbConnectionBuilder, ProductTypeElement, SumTypeVariant, type CallReducerFlags,
  type DbConnectionImpl,
} from '@clockworklabs/spacetimedb-sdk';
import type { Builder } from './client';

const product = (elements: Record<string, AlgebraicType>) =>
  AlgebraicType.createProductType(Object.entries(elements).map(([name, type]) => new ProductTypeElement(name, type)));

const u32 = AlgebraicType.createU32Type();
const u64 = AlgebraicType.createU64Type();
const f32 = AlgebraicType.createF32Type();
const f64 = AlgebraicType.createF64Type();
const string = AlgebraicType.createStringType();
const shape = AlgebraicType.createSumType([
  new SumTypeVariant('Circle', f32), new SumTypeVariant('Square', f32), new SumTypeVariant('Nothing', product({})),
]);
const player = {
  id: u32, name: string, bestScore: AlgebraicType.createI64Type(), title: AlgebraicType.createOptionType(string),
};
const event = {
  shape, path: AlgebraicType.createArrayType(product({ x: f64, y: f64 })), blob: AlgebraicType.createBytesType(),
  wide: AlgebraicType.createU256Type(), small: AlgebraicType.createI8Type(),
};
const eventRow = {
  id: u64, owner: AlgebraicType.createIdentityType(), at: AlgebraicType.createTimestampType(), ...event,
};

const table = (tableName: string, columns: Record<string, AlgebraicType>, keyType: AlgebraicType) =>
  ({ tableName, rowType: product(columns), primaryKey: 'id', primaryKeyInfo: { colName: 'id', colType: keyType } });
const tables = { player: table('player', player, u32), event_row: table('event_row', eventRow, u64) };

const reducer = (reducerName: string, params: Record<string, AlgebraicType>) =>
  ({ reducerName, argsType: product(params) });
const reducers = {
  put_player: reducer('put_player', player),
  delete_player: reducer('delete_player', { id: u32 }),
  add_event: reducer('add_event', event),
  crash: reducer('crash', {}),
};

const pascal = (name: string) => name.replace(/(?:^|_)(\w)/g, (_match, letter: string) => letter.toUpperCase());
const camel = (name: string) => name[0] + pascal(name).slice(1);

type Flags = Record<string, CallReducerFlags>;
type Named = Record<string, (argument: never) => void>;

function reducersView(connection: DbConnectionImpl, chosen: { flags: Flags }): Named {
  const view: Named = {};
  for (const { reducerName, argsType } of Object.values(reducers)) {
    const names = argsType.product.elements.map(element => element.name);
    view[camel(reducerName)] = (args: object) => {
      const writer = new BinaryWriter(1024);
      argsType.serialize(writer, args);
      connection.callReducer(reducerName, writer.getBuffer(), chosen.flags[reducerName] ?? 'FullUpdate');
    };
    view[`on${pascal(reducerName)}`] = (told: (context: unknown, args: object) => void) =>
      connection.onReducer(reducerName, (context: unknown, ...values: unknown[]) =>
        told(context, Object.fromEntries(names.map((name, at) => [name, values[at]]))));
  }
  return view;
}

/** Has what reducersView() reads beside a function for each reducer that sets its flags. */
function flagsView() {
  const flags: Flags = {};
  const setter = (name: string) => (value: CallReducerFlags) => { flags[name] = value; };
  const setters = Object.keys(reducers).map(name => [camel(name), setter(name)] as const);
  return { flags, ...Object.fromEntries(setters) };
}

type Cache = { clientCache: { getOrCreateTable(type: unknown): unknown } };

const module = {
  tables,
  reducers,
  versionInfo: { cliVersion: '1.3.3' },
  eventContextConstructor: (connection: DbConnectionImpl, event: unknown) => ({ ...connection, event }),
  dbViewConstructor: (connection: DbConnectionImpl) => {
    const cache = (connection as unknown as Cache).clientCache;
    return {
      get player() { return cache.getOrCreateTable(tables.player); },
      get eventRow() { return cache.getOrCreateTable(tables.event_row); },
    };
  },
  reducersConstructor: reducersView,
  setReducerFlagsConstructor: flagsView,
};

export const builder = () => new DbConnectionBuilder(module, connection => connection) as unknown as Builder;
