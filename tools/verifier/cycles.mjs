// A cycle: the server is started, inspected, put under load, disturbed, and killed; then its log is read.
import { copyFileSync, mkdirSync, readFileSync, renameSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Model, mix } from './bank.mjs';
import { inspect } from './inspect.mjs';
import { Ledger } from './ledger.mjs';
import { loadAndKill } from './load.mjs';
import { LogReader } from './log_reader.mjs';
import { Server, sleep, within } from './server.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const COMMON = ['--call-limit', '20000'];
const ROOMY = [...COMMON, '--snapshot-every', '64'], BUSY = [...COMMON, '--snapshot-every', '1'];

/** What happens in a cycle: how the server is run, what goes on beside the load, what the kill waits for,
 * and for how long a sync may take on a lossy disk: longer than a snapshot, where that matters. */
export const KINDS = {
  load: { options: ROOMY },
  recovery: { options: ROOMY, killsAtStart: 4 },
  snapshot: { options: BUSY, beside: askForSnapshots, moment: whenASnapshotGetsOn, slowMs: 400 },
  retention: { options: [...BUSY, '--keep-size', '1'], beside: askForSnapshots, moment: whenASnapshotGetsOn },
  reload: { options: ROOMY, beside: saveTheModule },
};

async function askForSnapshots(run, isOver) {
  while (!isOver()) {
    await run.server.snapshot().catch(() => {}); // the kill cuts an answer short
    await sleep(run.below(20));
  }
}

/** A snapshot gets its name or is given up, and the log before it; at other times it is anywhere on its way. */
async function whenASnapshotGetsOn(run) {
  const dir = join(dirname(run.server.logDir), 'snapshots'), isAny = run.below(4) === 0;
  mkdirSync(dir, { recursive: true });
  let watcher;
  const seen = new Promise(resolve => (watcher = watch(dir, (event, name) => (isAny || name?.endsWith('.snap')) && resolve())));
  await Promise.race([seen, sleep(1000)]);
  watcher.close();
  if (isAny) await sleep(run.below(30));
}

/** In place, as simple editors do, and by a new name, as careful ones do. */
async function saveTheModule(run, isOver) {
  for (let version = run.below(1000); !isOver(); version++) {
    const text = run.moduleText.replace('HAS_AMOUNT_INDEX = false', `HAS_AMOUNT_INDEX = ${version % 2 === 0}`);
    const path = version % 3 === 0 ? run.server.module : `${run.server.module}.new~`;
    writeFileSync(path, `${text}-- version ${version}\n`);
    if (path !== run.server.module) renameSync(path, run.server.module);
    await sleep(10 + run.below(40));
  }
}

export class Run {
  kills = 0;
  startMs = 60; // how long the last start took
  draws = 0;

  constructor({ program, dir, seed, seconds }) {
    mkdirSync(join(dir, 'server'), { recursive: true });
    const module = join(dir, 'server', 'module.lua');
    copyFileSync(join(HERE, 'module.lua'), module);
    this.moduleText = readFileSync(module, 'utf8');
    this.seconds = seconds;
    this.ledger = new Ledger(join(dir, 'ledger'), seed);
    this.seed = this.ledger.seed;
    this.model = new Model(this.seed);
    copyFileSync(program, join(dir, 'stdb-lua')); // one program to the end, whatever is built meanwhile
    this.server = new Server(join(dir, 'stdb-lua'), join(dir, 'server'), module);
    this.log = new LogReader(this.server.logDir, join(dir, 'table-ids'));
    this.library = join(dir, 'lossy_disk.so');
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-o', this.library, join(HERE, 'lossy_disk.c'), '-ldl'], { stdio: 'inherit' });
  }

  /** Chance, the same for a seed and the how-manieth run it is; when a kill falls it does not decide alone. */
  below(limit) {
    return mix(this.seed, 0x5eed, this.ledger.runs, ++this.draws) % limit;
  }

  #environment(isLossy, slowMs = 80) {
    if (!isLossy) return {};
    // Under sanitizers the library that is loaded first is not theirs.
    const asan = `verify_asan_link_order=0:${process.env.ASAN_OPTIONS ?? ''}`;
    return {
      LD_PRELOAD: this.library, STDB_LOSSY_SEED: String(1 + this.below(1e9)), STDB_LOSSY_SLOW_MS: String(slowMs), ASAN_OPTIONS: asan,
    };
  }

  async #start(options, isLossy, slowMs) {
    const begun = Date.now();
    await this.server.start(options, this.#environment(isLossy, slowMs));
    this.startMs = Date.now() - begun;
  }

  /** A start that is killed on its way, when recovery has just begun or is nearly over. */
  async #killAtStart(options, isLossy) {
    this.server.launch(options, this.#environment(isLossy));
    await sleep(this.below(Math.ceil(this.startMs * 1.2)));
    await this.server.kill();
    this.kills++;
    this.log.read();
  }

  /** Holds the server against the ledger, the model and the log's files. */
  async #inspect() {
    const inspected = inspect(this.server, this.ledger, this.model);
    const found = await within('answers to queries', Promise.race([inspected, this.server.ended]));
    this.log.read(); // alarms have rung since the start
    this.log.compare(found);
    this.log.settle(found);
  }

  /** One cycle of a kind; `isLossy`: on a disk that loses what was not synced. */
  async turn(kind, isLossy) {
    const { options, beside, moment, slowMs, killsAtStart = 0 } = KINDS[kind];
    for (let count = 0; count < killsAtStart; count++) await this.#killAtStart(options, isLossy);
    await this.#start(options, isLossy, slowMs);
    await this.#inspect();

    const duration = 30 + this.below(this.seconds * 1000);
    await loadAndKill(this.server, this.ledger, this.model.sequences, async () => {
      let isOver = false;
      const company = beside?.(this, () => isOver) ?? new Promise(() => {});
      await Promise.race([sleep(duration).then(() => moment?.(this)), company]);
      isOver = true;
    });
    this.kills++;
    this.log.read();
  }

  /** The last start: what is there after all, and once more after an end in order. */
  async finish() {
    for (let count = 0; count < 2; count++) {
      await this.#start(ROOMY, false);
      await this.#inspect();
      await this.server.stop();
      this.log.read();
    }
    this.ledger.close();
  }
}
