// The messages of v3.bsatn.spacetimedb that the verifier says and hears.
import { Reader, Writer } from './bsatn.mjs';
import { Violation } from './violation.mjs';
import { openWebSocket } from './websocket.mjs';

export const call = (requestId, reducer, args) =>
  new Writer().u8(3).u32(requestId).u8(0).string(reducer).bytes(args).done();
const subscribe = (requestId, queries) => {
  const message = new Writer().u8(0).u32(requestId).u32(1).u32(queries.length);
  for (const query of queries) message.string(query);
  return message.done();
};
const ask = (requestId, query) => new Writer().u8(2).u32(requestId).string(query).done();

/** The rows of a list, each as its bytes. */
function rowList(from) {
  const isFixed = from.u8() === 0;
  const hint = isFixed ? from.u16() : from.array(reader => reader.u64());
  const data = from.bytes();
  const starts = isFixed ? Array.from({ length: data.length / hint }, (_, place) => place * hint) : hint;
  return starts.map((start, place) => data.subarray(start, starts[place + 1] ?? data.length));
}

/** Tables of rows: Map from the table's name to its rows. */
function queryRows(from) {
  return new Map(from.array(() => [from.string(), rowList(from)]));
}

/** What a transaction changed, over all queries: [{ table, inserts, deletes }]. */
function transactionUpdate(from) {
  const changes = [];
  from.array(() => {
    from.u32();
    from.array(() => {
      const table = from.string();
      from.array(() => {
        if (from.u8() !== 0) throw new RangeError('an update of an event table');
        changes.push({ table, inserts: rowList(from), deletes: rowList(from) });
      });
    });
  });
  return changes;
}

function reducerResult(from) {
  const requestId = from.u32();
  from.i64();
  switch (from.u8()) {
    case 0: from.bytes(); return { requestId, changes: transactionUpdate(from) };
    case 1: return { requestId, changes: [] };
    case 2: return { requestId, error: new Reader(from.bytes()).string() };
    default: return { requestId, error: `internal error: ${from.string()}` };
  }
}

const READERS = [
  ['InitialConnection', from => ({ identity: from.take(32), connection: from.take(16), token: from.string() })],
  ['SubscribeApplied', from => ({ requestId: from.u32(), set: from.u32(), tables: queryRows(from) })],
  ['UnsubscribeApplied', () => { throw new RangeError('an answer to what was not asked'); }],
  ['SubscriptionError', from => ({ requestId: from.option(r => r.u32()), set: from.u32(), error: from.string() })],
  ['TransactionUpdate', from => ({ changes: transactionUpdate(from) })],
  ['OneOffQueryResult', from => ({
    requestId: from.u32(), ...(from.u8() === 0 ? { tables: queryRows(from) } : { error: from.string() }),
  })],
  ['ReducerResult', reducerResult],
];

/** Each message of a frame to `hear(tag, message)`. */
function decode(frame, hear) {
  const from = new Reader(frame, 1);
  if (frame[0] !== 0) throw new RangeError('a compressed message, and none was asked for');
  while (from.left > 0) {
    const [tag, read] = READERS[from.u8()];
    hear(tag, read(from));
  }
}

/** A client: `hear(tag, message)` gets what nobody waits for. Answers come in the order of the questions. */
export class Client {
  #waiting = [];
  #hear;
  #fail;
  #nextRequest = 1;

  /** `fail` hears of messages that cannot be read, and of what `hear` raises. */
  static async open(port, database, hear, fail) {
    const client = new Client();
    client.#hear = hear;
    client.#fail = fail;
    const path = `/v1/database/${database}/subscribe?compression=None`;
    const greeted = new Promise(resolve => client.#waiting.push(resolve));
    client.socket = await openWebSocket(port, path, 'v3.bsatn.spacetimedb', frame => client.#receive(frame));
    client.closed = client.socket.closed;
    await Promise.race([greeted, client.closed]);
    return client;
  }

  #receive(frame) {
    try {
      decode(frame, (tag, message) => {
        const isAnswer = tag === 'InitialConnection' || tag === 'SubscribeApplied' || tag === 'OneOffQueryResult' ||
          tag === 'SubscriptionError' || message.requestId === 0;
        if (isAnswer) this.#waiting.shift()(message);
        else this.#hear(tag, message);
      });
    } catch (error) {
      this.#fail(error instanceof RangeError ? new Violation(`a message cannot be read: ${error.message}`) : error);
    }
  }

  /** The answer to a message; undefined when the connection ends before it. */
  async #exchange(message) {
    const answered = new Promise(resolve => this.#waiting.push(resolve));
    this.socket.send(message);
    return Promise.race([answered, this.closed.then(() => undefined)]);
  }

  subscribe(queries) {
    return this.#exchange(subscribe(this.#nextRequest++, queries));
  }

  ask(query) {
    return this.#exchange(ask(this.#nextRequest++, query));
  }

  /** A call whose outcome is waited for; others are sent through the socket and heard. */
  call(reducer, args = Buffer.alloc(0)) {
    return this.#exchange(call(0, reducer, args));
  }
}
