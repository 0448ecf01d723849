// The owner at work over HTTP: remarks that are put in, undone and cleared away without any reducer.
import { REMARKS_KEPT, isUndone, remarkOf } from './bank.mjs';
import { sleep } from './server.mjs';
import { expect } from './violation.mjs';

/** Makes remarks one after another: each is an INSERT, every third is undone, and the oldest are deleted. */
export class Clerk {
  constructor(server, ledger) {
    this.server = server;
    this.ledger = ledger;
    this.number = ledger.remarks.last;
  }

  async #sql(statement) {
    const answer = await this.server.postAsOwner('sql', statement);
    expect(answer.status === 200, `${statement} was answered with ${answer.status}: ${answer.text}`);
  }

  /** What the owner has changed since then is this remark alone. */
  async #undo(number, since) {
    const answer = await this.server.postAsOwner('undo', `since ${since} caller ${this.owner}`);
    if (answer.status !== 200) {
      const isGivenUp = /the past is kept from|try again/.test(answer.text); // by retention; or it came to no end
      expect(isGivenUp, `the undo of remark ${number} was answered with ${answer.status}: ${answer.text}`);
      return;
    }
    const { changes } = JSON.parse(answer.text);
    const isRight = changes.length === 1 && changes[0].from?.number === number && changes[0].to === null;
    expect(isRight, `the undo of remark ${number} did ${JSON.stringify(changes)}`);
    this.ledger.undoRemark(number);
  }

  async #remark(number) {
    await sleep(2); // so that a time in milliseconds lies behind what was done before
    const since = new Date().toISOString();
    await this.#sql(`INSERT INTO remark (number, text) VALUES (${number}, '${remarkOf(number)}')`);
    this.ledger.remark(number);
    if (isUndone(number)) await this.#undo(number, since);
    const cleared = Math.max(0, number - REMARKS_KEPT);
    await this.#sql(`DELETE FROM remark WHERE number <= ${cleared}`);
    this.ledger.clearRemarks(cleared);
  }

  /** Until the server is gone: it rejects then. */
  async work() {
    this.owner = this.server.ownerIdentity();
    for (;;) await this.#remark(++this.number);
  }
}
