// After a start: what the server holds, against what it acknowledged and what follows from that.
import {
  ACCOUNTS, ALARM_EVERY, KEPT, OPENING_BALANCE, REMARKS_KEPT, TABLES, WRITERS, isUndone, orderOf, remarkOf, rowOf,
} from './bank.mjs';
import { DATABASE, sleep } from './server.mjs';
import { expect } from './violation.mjs';
import { Client } from './wire.mjs';

async function ask(client, query) {
  const answer = await client.ask(query);
  expect(answer?.tables, `${query} was answered with ${answer?.error ?? 'the end of the connection'}`);
  return [...answer.tables.values()][0];
}

/** Every table whole, as rows and as the bytes of its rows. */
async function readTables(client) {
  const tables = {}, bytes = {};
  for (const table of Object.keys(TABLES)) {
    const rows = await ask(client, `SELECT * FROM ${table}`);
    bytes[table] = new Set(rows.map(row => row.toString('latin1')));
    tables[table] = rows.map(row => rowOf(table, row));
    expect(bytes[table].size === rows.length, `a row of ${table} is there twice`);
  }
  return { tables, bytes };
}

function byKey(rows, key) {
  return new Map(rows.map(row => [row[key], row]));
}

/** How far each writer is: nobody behind what was acknowledged, shown, or there before. */
function checkProgress(tables, ledger, model) {
  const progress = byKey(tables.progress, 'writer');
  for (let writer = 0; writer < WRITERS; writer++) {
    const { sequence, chain } = progress.get(writer) ?? { sequence: 0, chain: 0 };
    const certain = ledger.certain[writer], before = model.sequences[writer];
    expect(sequence >= certain, `writer ${writer}'s order ${certain} was acknowledged or shown, and the server is at ${sequence}: lost`);
    expect(sequence >= before, `writer ${writer} was at ${before} after an earlier start and is at ${sequence} now`);
    model.advance(writer, sequence);
    expect(chain === model.chains[writer], `writer ${writer} is at ${sequence}, but its chain is not that of its orders so far`);
  }
}

function checkEntry(entry, ledger) {
  const { writer, sequence } = entry;
  expect(writer < WRITERS, `entry ${entry.id} is by writer ${writer}, who does not exist`);
  const wanted = orderOf(ledger.seed, writer, sequence);
  for (const column of Object.keys(wanted)) {
    expect(entry[column] === wanted[column], `entry ${entry.id}: ${column} is not what was ordered with ${writer}:${sequence}`);
  }
  const numbers = ledger.numbersOf(writer, sequence);
  expect(!numbers || numbers.entry === entry.id, `${writer}:${sequence} was acknowledged with another number than ${entry.id}`);
}

/** The book holds the last orders of each writer, each once, and no others. */
function checkEntries(tables, ledger, model) {
  const found = Array.from({ length: WRITERS }, () => new Set());
  for (const entry of tables.entry) {
    checkEntry(entry, ledger);
    expect(!found[entry.writer].has(entry.sequence), `the order ${entry.writer}:${entry.sequence} is in the book twice`);
    found[entry.writer].add(entry.sequence);
  }
  for (let writer = 0; writer < WRITERS; writer++) {
    const last = model.sequences[writer], first = Math.max(1, last - KEPT + 1);
    for (let sequence = first; sequence <= last; sequence++) {
      expect(found[writer].has(sequence), `writer ${writer} is at ${last}, but its order ${sequence} is not in the book: half there`);
    }
    expect(found[writer].size === last - first + 1, `the book has ${found[writer].size} orders of writer ${writer} in place of ${last - first + 1}`);
  }
}

function checkBank(tables, model) {
  const sum = tables.account.reduce((total, account) => total + account.balance, 0);
  expect(sum === ACCOUNTS * OPENING_BALANCE, `there is ${sum} in the bank in place of ${ACCOUNTS * OPENING_BALANCE}`);
  for (const { id, balance } of tables.account) {
    expect(balance === model.balances[id], `account ${id} holds ${balance} in place of ${model.balances[id]}`);
  }
}

function checkTickets(tables, ledger, model) {
  const tickets = byKey(tables.ticket, 'writer');
  for (let writer = 0; writer < WRITERS; writer++) {
    const ticket = tickets.get(writer), last = model.sequences[writer], numbers = ledger.numbersOf(writer, last);
    expect((ticket !== undefined) === last > 0, `writer ${writer} is at ${last} and has ${ticket ? 'a' : 'no'} ticket`);
    if (!ticket) continue;
    expect(numbers ? numbers.ticket === ticket.id : !ledger.wasGiven('ticket', ticket.id), `writer ${writer}'s ticket ${ticket.id} is one of an older order`);
  }
}

/** The alarm of each order has rung once: those of the last ones are kept. */
function checkAlarms(tables, model) {
  const last = model.sequences.map(sequence => sequence - (sequence % ALARM_EVERY));
  for (const { writer, sequence, times } of tables.rung) {
    const isSet = sequence % ALARM_EVERY === 0 && sequence <= last[writer] && sequence > last[writer] - KEPT;
    expect(isSet && times === 1, `the alarm of ${writer}:${sequence} rang ${times} times, and ${isSet ? 'once is right' : 'it is not set'}`);
  }
  const wanted = last.reduce((sum, sequence) => sum + Math.ceil(Math.min(sequence, KEPT) / ALARM_EVERY), 0);
  expect(tables.rung.length === wanted, `${tables.rung.length} alarms have rung in place of ${wanted}`);
}

/** What the owner did last may have been cut short; all before it is as it was acknowledged. */
function checkRemarks(tables, ledger) {
  const { last, undone, cleared } = ledger.remarks, remarks = byKey(tables.remark, 'number');
  for (const { number, text } of remarks.values()) {
    expect(text === remarkOf(number), `remark ${number} says ${text}`);
    expect(number <= last + 1, `there is a remark ${number}, and ${last} was the last to be acknowledged`);
    expect(number > cleared, `remark ${number} is there, and its deletion was acknowledged`);
    expect(!undone.has(number), `remark ${number} is there, and its undo was acknowledged`);
  }
  for (let number = Math.max(0, last - REMARKS_KEPT) + 1; number <= last; number++) {
    expect(remarks.has(number) || isUndone(number), `remark ${number} was acknowledged or shown, and is not there: lost`);
  }
  ledger.remark(Math.max(0, ...remarks.keys()));
}

/** Alarms that were due when the server was killed ring soon after it is back. */
async function waitForAlarms(client) {
  while ((await ask(client, 'SELECT * FROM alarm')).length > 0) await sleep(5);
}

/** A condition that an index answers finds what the whole table holds, and nothing of what was deleted. */
async function checkQueries(client, tables) {
  const conditions = [];
  for (let writer = 0; writer < WRITERS; writer++) {
    conditions.push(['entry', 'writer', writer], ['ticket', 'writer', writer], ['progress', 'writer', writer]);
  }
  for (let account = 0; account < ACCOUNTS; account += 7) {
    conditions.push(['entry', 'payer', account], ['account', 'id', account]);
  }
  for (const { id } of tables.entry.slice(0, 8)) conditions.push(['entry', 'id', id]);
  await Promise.all(conditions.map(async ([table, column, value]) => {
    const found = await ask(client, `SELECT * FROM ${table} WHERE ${column} = ${value}`);
    const wanted = tables[table].filter(row => row[column] === value).length;
    const isRight = found.length === wanted && found.every(bytes => rowOf(table, bytes)[column] === value);
    expect(isRight, `${table} has ${wanted} rows with ${column} = ${value}, and a query by it finds ${found.length}`);
  }));
}

/** All of it. Returns the bytes of all rows by table. */
export async function inspect(server, ledger, model) {
  let failure;
  const client = await Client.open(server.port, DATABASE, () => {}, error => (failure ??= error));
  await waitForAlarms(client);
  const { tables, bytes } = await readTables(client);
  checkProgress(tables, ledger, model);
  checkEntries(tables, ledger, model);
  checkBank(tables, model);
  checkTickets(tables, ledger, model);
  checkAlarms(tables, model);
  checkRemarks(tables, ledger);
  await checkQueries(client, tables);
  const audit = await client.call('audit');
  expect(audit && audit.error === undefined, `the module's own audit says: ${audit?.error ?? 'nothing, the connection ended'}`);
  client.socket.drop();
  await client.closed;
  if (failure) throw failure;
  return bytes;
}
