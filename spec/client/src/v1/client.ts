// What the specs of v1 ask of a client, in the words that both packages of 1.x have for it.
export type Player = { id: number; name: string; bestScore: bigint; title: string | undefined };

export type EventRow = {
  id: bigint;
  owner: { toHexString(): string };
  at: { microsSinceUnixEpoch: bigint };
  shape: { tag: string; value?: unknown };
  path: { x: number; y: number }[];
  blob: Uint8Array;
  wide: bigint;
  small: number;
};

export type ReducerEvent = {
  reducer: { name: string; args: unknown };
  status: { tag: string; value?: unknown };
  callerIdentity: { toHexString(): string };
  callerConnectionId?: { toHexString(): string };
  timestamp: { microsSinceUnixEpoch: bigint };
};

/** Why rows changed. Of somebody else's call a client is told nothing but the rows. */
export type RowEvent = { tag: string; value?: ReducerEvent };

export interface Table<Row> {
  iter(): Iterable<Row>;
  onInsert(told: (context: { event: RowEvent }, row: Row) => void): void;
  onUpdate(told: (context: { event: RowEvent }, old: Row, row: Row) => void): void;
  onDelete(told: (context: { event: RowEvent }, row: Row) => void): void;
}

export interface Handle {
  unsubscribeThen(ended: () => void): void;
}

export interface SubscriptionBuilder {
  onApplied(applied: () => void): this;
  onError(failed: (context: { event?: Error }) => void): this;
  subscribe(queries: string[]): Handle;
  subscribeToAllTables(): void;
}

export interface Connection {
  connectionId: { toHexString(): string };
  db: { player: Table<Player>; eventRow: Table<EventRow> };
  /** putPlayer(args) calls, onPutPlayer(told) hears of calls; and so on for each reducer. */
  reducers: Record<string, (argument: unknown) => void>;
  setReducerFlags: Record<string, (flags: 'FullUpdate' | 'NoSuccessNotify') => void>;
  subscriptionBuilder(): SubscriptionBuilder;
  disconnect(): void;
}

export interface Builder {
  withUri(uri: string): this;
  withModuleName(name: string): this;
  withToken(token?: string): this;
  withCompression(compression: 'gzip' | 'none'): this;
  withLightMode(light: boolean): this;
  onConnect(told: (db: Connection, identity: { toHexString(): string }, token: string) => void): this;
  onConnectError(told: (context: unknown, error: Error) => void): this;
  onDisconnect(told: () => void): this;
  build(): Connection;
}
