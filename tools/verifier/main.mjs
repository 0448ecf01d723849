// The command: cycles of load and kill, or the proof that the verifier sees what is wrong. See tools/verify.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KINDS, Run } from './cycles.mjs';
import { prove } from './prove.mjs';
import { Violation, expect } from './violation.mjs';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const DISKS = ['lossy', 'honest'];

const HELP = `usage: tools/verify [options]

Holds a running stdb-lua to its promise that nothing acknowledged is lost and nothing is half there. Eight writers
and a subscriber load it over the official protocol, a ninth over HTTP; each order changes six rows in four tables, and
every eighth sets an alarm that must ring once. The owner writes remarks by SQL, and undoes every third of them.
Acknowledgements go into a synced file outside of the server's folder.
The server is killed with -9 under load, and beside it during recovery, snapshots, retention and reloads; half of the
time on a disk that loses, tears and reorders what was not synced. After each start all tables are held against the
acknowledgements, against what must follow from them, against their indexes, and against the log's files as the verifier
reads them itself.

  --cycles COUNT   kills under load; default 20
  --seconds TIME   the longest load before a kill; default 0.5
  --seed NUMBER    what the orders and the times of kills are drawn from; default by chance
  --kind NAME      only cycles of this kind: ${Object.keys(KINDS).join(', ')}
  --disk NAME      only on this disk: honest, lossy
  --dir DIR        where server and acknowledgements are kept; goes on with what is there, which also judges a
                   database after a power cut. Default: a new folder, removed when all is well
  --program FILE   the stdb-lua to verify; default $STDB_PROGRAM, then build/stdb-lua
  --prove          proves the verifier: plants each bug of tools/verifier/bugs into a copy of the source, and fails
                   when one is not caught
  --bug NAME       with --prove: only this one
  --help           this text

The exit code is 0 when all is well, 1 when a promise was broken (the folder is kept), 2 when it could not be told.
`;

class Misuse extends Error {}

function number(text, option, from, isWhole) {
  const value = Number(text);
  if (!(value >= from) || (isWhole && !Number.isSafeInteger(value))) throw new Misuse(`${option} takes a ${isWhole ? 'whole ' : ''}number from ${from}, not ${text}`);
  return value;
}

const READERS = {
  '--cycles': (options, text) => (options.cycles = number(text, '--cycles', 1, true)),
  '--seconds': (options, text) => (options.seconds = number(text, '--seconds', 0.001, false)),
  '--seed': (options, text) => (options.seed = number(text, '--seed', 0, true) >>> 0),
  '--kind': (options, text) => {
    if (!Object.hasOwn(KINDS, text)) throw new Misuse(`there is no kind ${text}: ${Object.keys(KINDS).join(', ')}`);
    options.kinds = [text];
  },
  '--disk': (options, text) => {
    if (!DISKS.includes(text)) throw new Misuse(`there is no disk ${text}: ${DISKS.join(', ')}`);
    options.disks = [text];
  },
  '--dir': (options, text) => (options.dir = resolve(text)),
  '--program': (options, text) => (options.program = resolve(text)),
  '--bug': (options, text) => (options.bug = text),
};

function readOptions(words) {
  const options = {
    cycles: 20, seconds: 0.5, seed: Date.now() >>> 0, kinds: Object.keys(KINDS), disks: DISKS,
    program: resolve(process.env.STDB_PROGRAM ?? join(ROOT, 'build/stdb-lua')),
  };
  while (words.length > 0) {
    const word = words.shift();
    if (word === '--prove') options.prove = true;
    else if (word === '--help' || word === '-h') options.help = true;
    else if (!Object.hasOwn(READERS, word)) throw new Misuse(`there is no option ${word}; see --help`);
    else if (words.length === 0) throw new Misuse(`${word} needs a value`);
    else READERS[word](options, words.shift());
  }
  return options;
}

/** Cycles of all kinds in turn, on one disk and then on the other, and an end in order. */
async function runAll(run, { cycles, kinds, disks }) {
  console.log(`seed ${run.seed}`);
  for (let cycle = 0; cycle < cycles; cycle++) {
    const kind = kinds[cycle % kinds.length], disk = disks[Math.floor(cycle / kinds.length) % disks.length];
    run.doing = `cycle ${cycle + 1}, ${kind}, on a disk that is ${disk}`;
    await run.turn(kind, disk === 'lossy');
    if ((cycle + 1) % 50 === 0) console.log(`${cycle + 1} cycles, ${run.ledger.acknowledged} acknowledged`);
  }
  run.doing = 'the last start';
  await run.finish();
  expect(run.ledger.acknowledged > 0, 'nothing was acknowledged in all the time');
}

async function verify(options) {
  if (!existsSync(options.program)) throw new Misuse(`there is no program at ${options.program}: build it with tools/build`);
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'stdb-verify-'));
  let run;
  try {
    run = new Run({ ...options, dir });
    await runAll(run, options);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    await run?.server.kill();
    console.log(`BROKEN in ${run?.doing ?? 'the acknowledgements'}: ${error.message}\nall of it is kept in ${dir}`);
    return 1;
  }
  console.log(`${run.kills} kills, ${run.ledger.acknowledged} orders acknowledged: 0 lost, 0 half there`);
  if (!options.dir) rmSync(dir, { recursive: true });
  return 0;
}

async function main(words) {
  const options = readOptions(words);
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  return options.prove ? prove(options) : verify(options);
}

function giveUp(error) {
  console.error(error instanceof Misuse ? `tools/verify: ${error.message}` : error);
  process.exit(2);
}

process.on('uncaughtException', giveUp);
try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  giveUp(error);
}
