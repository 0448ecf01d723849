// What the client specs stand on: sentences that pass or fail, and servers of their own.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket as UndiciWebSocket } from 'undici';

const program = process.env.STDB_PROGRAM ?? '../../build/stdb-lua';
const patience = Number(process.env.STDB_PATIENCE_MS ?? 20000);

type Sentence = { name: string; run: () => Promise<void> };
const sentences: Sentence[] = [];

export function it(name: string, run: () => Promise<void>) {
  sentences.push({ name, run });
}

export function expect(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

export function equal(actual: unknown, wanted: unknown, what: string) {
  const text = (value: unknown) => JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner));
  expect(text(actual) === text(wanted), `${what}: wanted ${text(wanted)}, got ${text(actual)}`);
}

/** A promise that gives up, so that a missing answer is a failure with a name. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patience} ms for ${what}`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function eventually(what: string, condition: () => boolean) {
  const end = Date.now() + patience;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited ${patience} ms for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

const children = new Set<ChildProcess>();
process.on('exit', () => children.forEach(child => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

/** One running stdb-lua with a data folder of its own. */
export class Server {
  url = '';
  output = '';
  readonly dir = mkdtempSync(join(tmpdir(), 'stdb-client-spec-'));
  #child: ChildProcess | undefined;

  constructor(readonly module: string) {}

  async start(): Promise<this> {
    const port = this.url ? new URL(this.url).port : '0';
    const args = ['run', '--listen-addr', `127.0.0.1:${port}`, '--data-dir', this.dir, '--database', 'spec', this.module];
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'pipe'] });
    this.#child = child;
    children.add(child);
    child.on('exit', () => children.delete(child));
    const listening = new Promise<void>((resolve, reject) => {
      child.stderr!.on('data', data => {
        this.output += data;
        const found = /served at (http:\/\/[\d.]+:\d+)/.exec(this.output);
        if (found) {
          this.url = found[1]!;
          resolve();
        }
      });
      child.on('exit', code => reject(new Error(`the server ended with ${code}: ${this.output}`)));
    });
    await within('the server to listen', listening);
    return this;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM') {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>(resolve => child.on('exit', () => resolve()));
    child.kill(signal);
    await within('the server to end', ended);
    this.output = '';
  }

  async remove() {
    await this.stop('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The client offers v3 and v2; this lets it offer only some, and tells what was agreed. */
export const agreed: string[] = [];
export function offerOnly(...protocols: string[]) {
  class Offering extends UndiciWebSocket {
    constructor(url: string, offered: string[]) {
      super(url, protocols.length > 0 ? offered.filter(one => protocols.includes(one)) : offered);
      this.addEventListener('open', () => agreed.push(this.protocol));
    }
  }
  (globalThis as { WebSocket: unknown }).WebSocket = Offering;
}

// What connections have in common, whichever bindings or version of the client they come from.
interface Builder<Db> {
  withUri(uri: string): Builder<Db>;
  withDatabaseName(name: string): Builder<Db>;
  withToken(token?: string): Builder<Db>;
  onConnect(told: (db: Db, identity: { toHexString(): string }, token: string) => void): Builder<Db>;
  onConnectError(told: (context: any, error: Error) => void): Builder<Db>;
  build(): Db;
}

interface SubscriptionBuilder<Handle> {
  onApplied(told: () => void): SubscriptionBuilder<Handle>;
  onError(told: (context: { event?: Error }) => void): SubscriptionBuilder<Handle>;
  subscribe(queries: string[]): Handle;
}

export type Connected<Db> = { db: Db; identity: string; token: string };

/** A new connection of these bindings: connectTo(server, DbConnection.builder()). */
export function connectTo<Db>(server: Server, builder: Builder<Db>, token?: string): Promise<Connected<Db>> {
  const connected = new Promise<Connected<Db>>((resolve, reject) => {
    builder
      .withUri(server.url)
      .withDatabaseName('spec')
      .withToken(token)
      .onConnect((db, identity, received) => resolve({ db, identity: identity.toHexString(), token: received }))
      .onConnectError((_context, error) => reject(error))
      .build();
  });
  return within('a connection', connected);
}

/** Subscribes and waits until the rows are there and their callbacks have run. */
export function subscribe<Handle>(
  db: { subscriptionBuilder(): SubscriptionBuilder<Handle> }, ...queries: string[]
): Promise<Handle> {
  const applied = new Promise<Handle>((resolve, reject) => {
    const handle = db
      .subscriptionBuilder()
      .onApplied(() => setTimeout(() => resolve(handle), 0))
      .onError(context => reject(context.event ?? new Error('subscription error')))
      .subscribe(queries);
  });
  return within(`subscription to ${queries.join('; ')}`, applied);
}

/** Waits until the client has heard that a subscription is over. */
export function unsubscribe(handle: { unsubscribeThen(ended: () => void): void }): Promise<void> {
  const ended = new Promise<void>(resolve => handle.unsubscribeThen(() => setTimeout(resolve, 0)));
  return within('the end of a subscription', ended);
}

export async function refusal(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('the call was expected to be refused');
}

/** Runs all sentences in order and tells each as a line of JSON, for spec/client/client_spec.lua. */
export async function runAll() {
  for (const { name, run } of sentences) {
    let error: string | undefined;
    try {
      await run();
    } catch (failure) {
      error = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
    }
    console.log(JSON.stringify({ name, error }));
  }
}
