// What the module must hold: everything follows from a seed and from how far each writer is.
import { Reader, Writer } from './bsatn.mjs';

export const WRITERS = 9; // the last of them calls over HTTP
export const ACCOUNTS = 64, OPENING_BALANCE = 1000, KEPT = 100, ALARM_EVERY = 8; // as module.lua has them
export const REMARKS_KEPT = 20;
const CHAIN = 2147483647;

const read = {
  u32: from => from.u32(), u64: from => from.u64(), i64: from => from.i64(), string: from => from.string(),
};

/** The columns of each table, in order. */
export const TABLES = {
  account: { id: read.u32, balance: read.i64 },
  entry: {
    id: read.u64, writer: read.u32, sequence: read.u32, payer: read.u32, payee: read.u32, amount: read.i64,
    checksum: read.u32, note: read.string,
  },
  progress: { writer: read.u32, sequence: read.u32, chain: read.u32 },
  ticket: { id: read.u64, writer: read.u32 },
  rung: { writer: read.u32, sequence: read.u32, times: read.u32 },
  alarm: { id: read.u64, at: from => `${from.u8()} ${from.i64()}`, writer: read.u32, sequence: read.u32 },
  remark: { number: read.u32, text: read.string },
};

/** One row from where the reader stands. */
export function readRow(table, from) {
  const row = {};
  for (const [name, column] of Object.entries(TABLES[table])) row[name] = column(from);
  return row;
}

export function rowOf(table, bytes) {
  const from = new Reader(bytes);
  const row = readRow(table, from);
  if (from.left > 0) throw new RangeError(`a row of ${table} has ${from.left} bytes too many`);
  return row;
}

/** Well mixed 32 bits. */
export function mix(...numbers) {
  let state = 0x9e3779b9;
  for (const number of numbers) {
    state = Math.imul(state ^ number, 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state ^= state >>> 16;
  }
  return state >>> 0;
}

/** The order that a writer gives as its n-th: the reducer's parameters, in order. */
export function orderOf(seed, writer, sequence) {
  const draw = mix(seed, writer, sequence);
  const payer = draw % ACCOUNTS;
  return {
    writer, sequence, payer, payee: (payer + 1 + ((draw >>> 8) % (ACCOUNTS - 1))) % ACCOUNTS, amount: 1 + ((draw >>> 16) % 50),
    checksum: mix(draw, seed), note: String.fromCharCode(97 + (draw % 26)).repeat((draw >>> 20) % 900),
  };
}

/** Which orders are given once in vain before they are given in earnest. */
export const isTried = (seed, writer, sequence) => mix(sequence, writer, seed) % 8 === 0;

export function encodeOrder(order) {
  return new Writer().u32(order.writer).u32(order.sequence).u32(order.payer).u32(order.payee).i64(order.amount)
    .u32(order.checksum).string(order.note).done();
}

/** The owner's remarks: what they say, and which of them are taken back. */
export const remarkOf = number => `remark ${number}`;
export const isUndone = number => number % 3 === 0;

export const chained = (chain, order) => (chain * 31 + order.checksum) % CHAIN;

/** The chain of each writer and all balances, taken forward as the writers go on; never back. */
export class Model {
  constructor(seed) {
    this.seed = seed;
    this.sequences = new Array(WRITERS).fill(0);
    this.chains = new Array(WRITERS).fill(0);
    this.balances = new Array(ACCOUNTS).fill(OPENING_BALANCE);
  }

  advance(writer, sequence) {
    while (this.sequences[writer] < sequence) {
      const order = orderOf(this.seed, writer, ++this.sequences[writer]);
      this.chains[writer] = chained(this.chains[writer], order);
      this.balances[order.payer] -= order.amount;
      this.balances[order.payee] += order.amount;
    }
  }
}
