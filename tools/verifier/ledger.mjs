// What the server has acknowledged or shown, in a file of its own that is on disk before the verifier goes on.
//
//   seed 17
//   b 2                     the verifier began its second run on this folder
//   a 3 1204 9311 8227      writer 3's order 1204 was acknowledged, with entry 9311 and ticket 8227
//   s 5 880                 writer 5 was seen at 880: by a confirmed subscriber, or acknowledged over HTTP
//   r 17                    remark 17 was acknowledged, or found after a start
//   u 15                    its undo was acknowledged
//   c 3                     remarks up to 3 were acknowledged to be deleted
import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { KEPT, WRITERS } from './bank.mjs';
import { expect } from './violation.mjs';

export class Ledger {
  #file;
  #lines = [];
  acknowledged = 0;
  runs = 0; // of the verifier, this one with them
  certain = new Array(WRITERS).fill(0); // how far each writer must be
  remarks = { last: 0, undone: new Set(), cleared: 0 };
  #given = { entry: new Set(), ticket: new Set() }; // all numbers that were ever acknowledged
  #recent = Array.from({ length: WRITERS }, () => new Map()); // sequence to its numbers

  constructor(path, seed) {
    const lines = existsSync(path) ? readFileSync(path, 'latin1').split('\n') : [];
    lines.pop(); // what follows the last line's end: nothing, or half a line
    this.isNew = lines.length === 0;
    this.seed = this.isNew ? seed : Number(lines[0].split(' ')[1]);
    this.#file = openSync(path, constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND | constants.O_DSYNC);
    if (this.isNew) this.#write(`seed ${seed}\n`);
    for (const line of lines.slice(1)) this.#take(...line.split(' '));
    this.#write(`b ${++this.runs}\n`);
  }

  #write(text) {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
  }

  #take(kind, ...words) {
    const [first, sequence, entry, ticket] = words.map(Number);
    if (kind === 'b') this.runs = first;
    else if (kind === 'r') this.remarks.last = first;
    else if (kind === 'u') this.remarks.undone.add(first);
    else if (kind === 'c') this.remarks.cleared = first;
    else if (kind === 'a') this.#acknowledge(first, sequence, { entry, ticket });
    if (kind === 'a' || kind === 's') this.certain[first] = Math.max(this.certain[first], sequence);
  }

  #acknowledge(writer, sequence, numbers) {
    for (const [table, number] of Object.entries(numbers)) {
      expect(!this.#given[table].has(number), `number ${number} of ${table} was given out twice, at last to ${writer}:${sequence}`);
      this.#given[table].add(number);
    }
    this.#recent[writer].set(sequence, numbers);
    this.#recent[writer].delete(sequence - 2 * KEPT);
    this.acknowledged++;
  }

  /** What comes in one beat goes to the disk together. */
  #note(line) {
    if (this.#lines.push(line) === 1) setImmediate(() => this.flush());
  }

  acknowledge(writer, sequence, numbers) {
    this.#note(`a ${writer} ${sequence} ${numbers.entry} ${numbers.ticket}\n`);
    this.#take('a', writer, sequence, numbers.entry, numbers.ticket);
  }

  see(writer, sequence) {
    if (sequence <= this.certain[writer]) return;
    this.#note(`s ${writer} ${sequence}\n`);
    this.#take('s', writer, sequence);
  }

  #noteRemark(kind, number) {
    this.#note(`${kind} ${number}\n`);
    this.#take(kind, number);
  }

  remark(number) {
    if (number > this.remarks.last) this.#noteRemark('r', number);
  }

  undoRemark(number) {
    this.#noteRemark('u', number);
  }

  clearRemarks(number) {
    if (number > this.remarks.cleared) this.#noteRemark('c', number);
  }

  /** Stores what was noted since the last time. */
  flush() {
    if (this.#lines.length > 0) this.#write(this.#lines.join(''));
    this.#lines = [];
  }

  /** The numbers that an order was acknowledged with, if it was lately. */
  numbersOf(writer, sequence) {
    return this.#recent[writer].get(sequence);
  }

  wasGiven(table, number) {
    return this.#given[table].has(number);
  }

  close() {
    this.flush();
    closeSync(this.#file);
  }
}
