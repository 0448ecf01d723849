// Eight writers, one more over HTTP, the owner, and a watcher, working until the server is killed.
import { WRITERS, chained, encodeOrder, isTried, OPENING_BALANCE, ACCOUNTS, orderOf, rowOf } from './bank.mjs';
import { Clerk } from './clerk.mjs';
import { DATABASE, sleep, within } from './server.mjs';
import { Violation, expect } from './violation.mjs';
import { Client, call } from './wire.mjs';

const IN_FLIGHT = 24;

/** Gives one writer's orders in turn and keeps so many in flight. What is acknowledged goes into the ledger. */
class OrderWriter {
  #waiting = []; // what is on its way: { sequence, isTry }
  #requests = 0;

  constructor(number, sequence, ledger) {
    this.number = number;
    this.sequence = sequence; // of the last order given
    this.ledger = ledger;
  }

  async open(port, fail) {
    this.client = await Client.open(port, DATABASE, (tag, message) => this.#hear(tag, message), fail);
    await this.client.subscribe(['entry', 'ticket'].map(table => `SELECT * FROM ${table} WHERE writer = ${this.number}`));
  }

  #give(reducer, sequence) {
    this.#waiting.push({ sequence, isTry: reducer === 'abandon' });
    return call(++this.#requests, reducer, encodeOrder(orderOf(this.ledger.seed, this.number, sequence)));
  }

  send() {
    const messages = [];
    while (this.#waiting.length < IN_FLIGHT) {
      this.sequence++;
      if (isTried(this.ledger.seed, this.number, this.sequence)) messages.push(this.#give('abandon', this.sequence));
      messages.push(this.#give('write', this.sequence));
    }
    this.client.socket.send(Buffer.concat(messages));
  }

  #hear(tag, answer) {
    expect(tag === 'ReducerResult', `writer ${this.number} was told ${tag}, which it did not ask for`);
    const given = this.#waiting.shift();
    expect(answer.requestId === this.#requests - this.#waiting.length, `writer ${this.number}'s answers are out of order`);
    const name = `${this.number}:${given.sequence}`;
    if (given.isTry) {
      expect(answer.error === 'abandoned on purpose', `the order ${name}, given in vain, was answered with ${answer.error ?? 'a change'}`);
    } else {
      expect(answer.error === undefined, `the order ${name} was refused: ${answer.error}`);
      this.ledger.acknowledge(this.number, given.sequence, this.#numbersIn(answer.changes, name));
    }
    if (this.#waiting.length <= IN_FLIGHT / 2) this.send();
  }

  #numbersIn(changes, name) {
    const numbers = {};
    for (const change of changes) {
      if (change.inserts.length === 1) numbers[change.table] = rowOf(change.table, change.inserts[0]).id;
    }
    expect(numbers.entry && numbers.ticket, `the answer to ${name} does not show the whole change`);
    return numbers;
  }
}

/** Gives its orders over HTTP, one after another. */
class HttpWriter {
  constructor(number, sequence, ledger) {
    this.number = number;
    this.sequence = sequence;
    this.ledger = ledger;
  }

  async #give(server, sequence) {
    const order = orderOf(this.ledger.seed, this.number, sequence);
    const answer = await server.post('call/write', JSON.stringify(Object.values(order)), { 'Content-Type': 'application/json' });
    expect(answer.status === 200, `the order ${this.number}:${sequence}, given over HTTP, was answered with ${answer.status}: ${answer.text}`);
    this.ledger.see(this.number, sequence);
    this.sequence = sequence;
  }

  /** Until the server is gone: it rejects then. */
  async work(server) {
    for (;;) await this.#give(server, this.sequence + 1);
  }
}

/** A subscriber that holds each update against the one before: whole transactions, one after another. */
class Watcher {
  #rows = { account: new Map(), progress: new Map(), ticket: new Map() };

  constructor(ledger) {
    this.ledger = ledger;
  }

  async open(port, fail) {
    this.client = await Client.open(port, DATABASE, (tag, message) => this.#hear(tag, message), fail);
    const applied = await this.client.subscribe(Object.keys(this.#rows).map(table => `SELECT * FROM ${table}`));
    for (const [table, rows] of applied?.tables ?? []) {
      for (const bytes of rows) this.#add(table, rowOf(table, bytes));
    }
    this.#checkWhole();
    for (const { writer, sequence } of this.#rows.progress.values()) this.ledger.see(writer, sequence);
  }

  #key(table, row) {
    return table === 'progress' ? row.writer : row.id;
  }

  #add(table, row) {
    expect(!this.#rows[table].has(this.#key(table, row)), `a subscriber is shown a row of ${table} twice`);
    this.#rows[table].set(this.#key(table, row), row);
  }

  #hear(tag, update) {
    expect(tag === 'TransactionUpdate', `a subscriber was told ${tag}, which it did not ask for`);
    const before = new Map(this.#rows.progress);
    for (const { table, deletes } of update.changes) {
      for (const bytes of deletes) this.#rows[table].delete(this.#key(table, rowOf(table, bytes)));
    }
    for (const { table, inserts } of update.changes) {
      for (const bytes of inserts) this.#add(table, rowOf(table, bytes));
    }
    this.#checkWhole();
    this.#checkStep(before);
  }

  #checkWhole() {
    const { account, progress, ticket } = this.#rows;
    let sum = 0;
    for (const { balance } of account.values()) sum += balance;
    expect(sum === ACCOUNTS * OPENING_BALANCE, `a subscriber sees ${sum} in the bank in place of ${ACCOUNTS * OPENING_BALANCE}`);
    expect(ticket.size === progress.size, `a subscriber sees ${ticket.size} tickets of ${progress.size} writers`);
  }

  /** One writer has taken one step. */
  #checkStep(before) {
    let steps = 0;
    for (const [writer, { sequence, chain }] of this.#rows.progress) {
      const last = before.get(writer) ?? { sequence: 0, chain: 0 };
      if (last.sequence === sequence) continue;
      const wanted = chained(last.chain, orderOf(this.ledger.seed, writer, sequence));
      expect(sequence === last.sequence + 1 && chain === wanted, `a subscriber sees writer ${writer} go from ${last.sequence} to ${sequence}`);
      this.ledger.see(writer, sequence);
      steps++;
    }
    expect(steps === 1, `a subscriber sees ${steps} orders in one update`);
  }
}

/** Nobody is dropped. When the server itself has ended, its own words say more. */
async function failUnlessKilled(server, fail) {
  if (server.isExpectedToEnd) return;
  await sleep(500);
  fail(new Violation('the server closed a connection under load'));
}

/** For what works over HTTP: its connection breaks with the server. */
async function endOf(work, server, fail) {
  try {
    await work;
  } catch (error) {
    if (error instanceof Violation) fail(error);
    else await failUnlessKilled(server, fail);
  }
}

/** Runs the load until `until` is over, kills the server, and takes what it has still said. */
export async function loadAndKill(server, ledger, sequences, until) {
  let fail;
  const failed = new Promise((_resolve, reject) => (fail = reject));
  const writers = Array.from({ length: WRITERS - 1 }, (_, number) => new OrderWriter(number, sequences[number], ledger));
  const caller = new HttpWriter(WRITERS - 1, sequences[WRITERS - 1], ledger);
  const everybody = [...writers, new Watcher(ledger)];
  failed.catch(() => {});

  await within('connections', Promise.race([Promise.all(everybody.map(one => one.open(server.port, fail))), server.ended]));
  const ends = everybody.map(one => one.client.closed);
  for (const end of ends) end.then(() => failUnlessKilled(server, fail));
  for (const writer of writers) writer.send();
  for (const one of [caller.work(server), new Clerk(server, ledger).work()]) ends.push(endOf(one, server, fail));
  await Promise.race([until(), failed, server.ended]);
  await server.kill();
  await within('the ends of connections', Promise.all(ends));
  ledger.flush();
  await Promise.race([failed, undefined]);
}
