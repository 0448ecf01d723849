// Reads the log's files as src/wal/wal.h and src/engine/record.h draw them, with nothing of the server: what it finds
// after a kill is what the server must come back with.
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TABLES, readRow } from './bank.mjs';
import { Reader } from './bsatn.mjs';
import { publishedTables } from './publication.mjs';
import { expect } from './violation.mjs';

const SEGMENT_HEADER = 64, FRAME_HEADER = 32, ALIGNMENT = 8, MAGIC = 0x4d415246, FIRST_ID = 4097;
const CALL = 1, CONNECT = 2, DISCONNECT = 3, PUBLISH = 4, RESERVE = 5, UNDO = 6, TICK = 7, SQL = 8;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0x82f63b78 : byte >>> 1;
  return byte >>> 0;
});

function crc32c(bytes) {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) crc = CRC_TABLE[(crc ^ bytes[at]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** One segment's file, read where it is asked for. */
class Segment {
  constructor(dir, first) {
    this.first = first;
    this.name = `${String(first).padStart(20, '0')}.wal`;
    this.file = openSync(join(dir, this.name), 'r');
    this.size = fstatSync(this.file).size;
  }

  /** Up to so many bytes; fewer at the end of the file. */
  read(at, size) {
    const bytes = Buffer.alloc(size);
    let done = 0;
    for (let got = -1; done < size && got !== 0; done += got) got = readSync(this.file, bytes, done, size - done, at + done);
    return bytes.subarray(0, done);
  }

  close() {
    closeSync(this.file);
  }
}

function segmentHeader(segment) {
  const bytes = segment.read(0, SEGMENT_HEADER), from = new Reader(bytes);
  if (bytes.length < SEGMENT_HEADER || bytes.toString('latin1', 0, 8) !== 'STDBWAL1') return undefined;
  if (bytes.readUInt32LE(60) !== crc32c(bytes.subarray(0, 60))) return undefined;
  from.skip(8);
  expect(from.u32() === 1, `${segment.name} has an unknown version`);
  from.skip(4);
  return { database: from.take(16).toString('hex'), first: from.u64(), chain: from.u32(), salt: from.u32() };
}

/** The frame's header at a place; undefined when no whole one stands there. */
function frameHeader(segment, at) {
  const bytes = segment.read(at, FRAME_HEADER), from = new Reader(bytes);
  if (bytes.length < FRAME_HEADER || bytes.readUInt32LE(28) !== crc32c(bytes.subarray(0, 28))) return undefined;
  return {
    salt: (from.u32() ^ MAGIC) >>> 0, size: from.u32(), first: from.u64(), count: from.u32(), chain: from.u32(),
    bodySum: from.u32(), checksum: from.u32(),
  };
}

export class LogReader {
  next = 0;        // the record that comes next
  rows = new Map(); // by table: the rows as their bytes, as far as the log was read
  #ids = new Map(); // table's id to its name
  #database;

  /** `idsPath`: a file for what is known of the tables, since the record that says it may be given up. */
  constructor(dir, idsPath) {
    this.dir = dir;
    this.snapshotDir = join(dirname(dir), 'snapshots');
    this.idsPath = idsPath;
    if (existsSync(idsPath)) this.#ids = new Map(JSON.parse(readFileSync(idsPath, 'utf8')));
    this.#forget();
  }

  #forget() {
    this.isWhole = true; // nothing that was needed had been given up
    for (const table of Object.keys(TABLES)) this.rows.set(table, new Set());
  }

  /** Takes what the server was found to hold as the place to go on from. */
  settle(rows) {
    this.isWhole = true;
    for (const [table, found] of Object.entries(rows)) this.rows.set(table, new Set(found));
  }

  #firsts() {
    if (!existsSync(this.dir)) return [];
    const names = readdirSync(this.dir).filter(name => /^\d{20}\.wal$/.test(name));
    return names.map(name => Number(name.slice(0, 20))).sort((one, other) => one - other);
  }

  /** Reads on to the end of the log, over what a retention window may have given up. */
  read() {
    const firsts = this.#firsts();
    if (firsts.length === 0) return;
    this.#checkRetention(firsts[0]);
    if (firsts[0] > this.next) this.#skipTo(firsts[0]);
    let place = firsts.length - 1;
    while (firsts[place] > this.next) place--;
    let chain;
    for (; place < firsts.length; place++) {
      const segment = new Segment(this.dir, firsts[place]);
      try {
        chain = this.#readSegment(segment, chain, place === firsts.length - 1);
      } finally {
        segment.close();
      }
    }
  }

  /** Every snapshot can be gone on from. */
  #checkRetention(first) {
    const names = existsSync(this.snapshotDir) ? readdirSync(this.snapshotDir).filter(name => /^\d{20}\.snap$/.test(name)) : [];
    const oldest = Math.min(...names.map(name => Number(name.slice(0, 20))));
    expect(first === 0 || first <= oldest, `the log begins at record ${first}, behind the oldest snapshot, which is at ${oldest}`);
  }

  /** From here on only what the rest says of a row is known: the rows themselves, and those that are gone. */
  #skipTo(first) {
    this.#forget();
    this.isWhole = false;
    this.next = first;
    this.gone = new Map(Object.keys(TABLES).map(table => [table, new Set()]));
  }

  /** Returns the checksum of its last frame. */
  #readSegment(segment, chain, isLast) {
    const header = segmentHeader(segment);
    if (!header) {
      expect(isLast, `${segment.name} has no header, and the log goes on in a later segment`);
      return chain;
    }
    expect(header.first === segment.first, `${segment.name} begins with record ${header.first}`);
    expect(chain === undefined || header.chain === chain, `${segment.name} does not continue the segment before`);
    expect((this.#database ??= header.database) === header.database, `${segment.name} belongs to another database`);
    return this.#readFrames(segment, header, isLast);
  }

  #readFrames(segment, { salt, chain }, isLast) {
    let at = SEGMENT_HEADER, first = segment.first;
    for (let frame; (frame = this.#wholeFrame(segment, at, isLast)); at += span(frame)) {
      const isNext = frame.salt === salt && frame.chain === chain && frame.first === first;
      expect(isNext, `${segment.name}: the frame at byte ${at} does not continue the one before`);
      this.#readRecords(frame);
      chain = frame.checksum;
      first += frame.count;
    }
    if (!isLast) this.#expectEnd(segment, at);
    else this.#expectNothingBehind(segment, at, salt, first);
    expect(first >= this.next, `the log ended at record ${this.next} when it was read last and ends at ${first} now`);
    return chain;
  }

  #wholeFrame(segment, at, isLast) {
    const frame = frameHeader(segment, at);
    if (!frame) return undefined;
    frame.body = segment.read(at + FRAME_HEADER, frame.size);
    const isWhole = frame.body.length === frame.size && crc32c(frame.body) === frame.bodySum;
    expect(isWhole || isLast, `${segment.name}: the frame at byte ${at} is damaged, and the log goes on in a later segment`);
    return isWhole ? frame : undefined;
  }

  #expectEnd(segment, at) {
    const rest = segment.read(at, segment.size - at);
    expect(rest.every(byte => byte === 0), `${segment.name}: bytes that are no frame stand behind byte ${at}`);
  }

  /** No frame is written before the one in front of it is synced. */
  #expectNothingBehind(segment, at, salt, first) {
    const broken = frameHeader(segment, at), rest = segment.read(at, segment.size - at);
    for (let place = broken ? span(broken) : ALIGNMENT; place + FRAME_HEADER <= rest.length; place += ALIGNMENT) {
      if (rest.readUInt32LE(place) !== (MAGIC ^ salt) >>> 0) continue;
      const later = frameHeader(segment, at + place);
      expect(!later || later.first < first, `${segment.name}: the frame at byte ${at} is damaged, and a later one stands at byte ${at + place}`);
    }
  }

  #readRecords({ body, count, first }) {
    const from = new Reader(body);
    for (let offset = first; offset < first + count; offset++) {
      const record = from.bytes();
      if (offset < this.next) continue;
      try {
        this.#apply(new Reader(record));
      } catch (error) {
        if (error instanceof RangeError) expect(false, `record ${offset} of the log cannot be read: ${error.message}`);
        error.message = `record ${offset} of the log: ${error.message}`;
        throw error;
      }
      this.next = offset + 1;
    }
    expect(from.left === 0, `the frame of record ${first} is longer than its records`);
  }

  #apply(record) {
    const kind = record.u8();
    record.skip(24);
    switch (kind) {
      case CALL: record.u16(); record.bytes(); break;
      case CONNECT: record.skip(48); break;
      case DISCONNECT: break;
      case UNDO: record.skip(32); record.bytes(); break;
      case TICK: record.skip(21); break;
      case SQL: record.bytes(); record.skip(8); break;
      case PUBLISH: this.#publish(record); break;
      case RESERVE: return;
      default: expect(false, `a record of kind ${kind}`);
    }
    record.array(() => this.#changeTable(record));
    expect(record.left === 0, `${record.left} bytes too many`);
  }

  /** Ids go up from the first, a table's before those of its indexes and sequences, and never change. */
  #publish(record) {
    record.skip(64);
    const tables = publishedTables(new Reader(record.bytes()));
    record.array(() => [record.bytes(), record.bytes()]);
    if (this.#ids.size > 0) return;
    let id = FIRST_ID;
    for (const { name, partCount } of tables) {
      this.#ids.set(id, name);
      id += 1 + partCount;
    }
    writeFileSync(this.idsPath, JSON.stringify([...this.#ids]));
  }

  #changeTable(record) {
    const table = this.#ids.get(record.u32());
    expect(TABLES[table], 'a change of an unknown table');
    const deletes = record.u32(), inserts = record.u32();
    for (let idx = 0; idx < deletes; idx++) this.#delete(table, rowBytes(table, record));
    for (let idx = 0; idx < inserts; idx++) this.#insert(table, rowBytes(table, record));
  }

  #delete(table, row) {
    expect(this.rows.get(table).delete(row) || !this.isWhole, `it deletes a row of ${table} that is not there`);
    if (!this.isWhole) this.gone.get(table).add(row);
  }

  #insert(table, row) {
    expect(!this.rows.get(table).has(row), `it inserts a row of ${table} that is there`);
    this.rows.get(table).add(row);
    if (!this.isWhole) this.gone.get(table).delete(row);
  }

  /** What the server holds, against what the log says. */
  compare(found) {
    for (const table of Object.keys(TABLES)) {
      const mine = this.rows.get(table), missing = [...mine].filter(row => !found[table].has(row)).length;
      expect(missing === 0, `the log's files hold ${missing} rows of ${table} that the server does not show`);
      const extra = [...found[table]].filter(row => (this.isWhole ? !mine.has(row) : this.gone.get(table).has(row))).length;
      expect(extra === 0, `the server shows ${extra} rows of ${table} that the log's files do not hold`);
    }
  }
}

function span({ size }) {
  return Math.ceil((FRAME_HEADER + size) / ALIGNMENT) * ALIGNMENT;
}

function rowBytes(table, from) {
  const start = from.at;
  readRow(table, from);
  return from.buffer.toString('latin1', start, from.at);
}
