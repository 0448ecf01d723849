// Is the verifier worth anything? Plants each of bugs/*.patch into a copy of the source, builds that, and verifies it:
// each must be caught, and the source as it is must not be blamed.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url)), ROOT = dirname(dirname(HERE));
const BUILT_FROM = ['CMakeLists.txt', 'src', 'lua', 'stdlib', 'spec', 'tools'];
const CYCLES = 60, SECONDS = 0.25;

/** Runs a command to its end: its exit code, and all that it said. */
function run(command, words, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', data => (output += data));
    child.stderr.on('data', data => (output += data));
    child.on('error', reject);
    child.on('close', code => resolve({ code, output }));
  });
}

async function mustRun(command, words, cwd) {
  const { code, output } = await run(command, words, cwd);
  if (code !== 0) throw new Error(`${command} ${words.join(' ')} failed:\n${output}`);
}

/** A copy of the source with a build folder of its own, which bugs are planted into one after another. */
class Field {
  constructor(dir) {
    this.dir = join(dir, 'source');
    this.program = join(this.dir, 'build', 'stdb-lua');
    this.patches = join(HERE, 'bugs');
  }

  async prepare() {
    mkdirSync(this.dir);
    await mustRun('sh', ['-c', `tar -C "$1" --exclude=node_modules -cf - ${BUILT_FROM.join(' ')} | tar -C "$2" -xf -`, 'sh', ROOT, this.dir]);
    await mustRun('cmake', ['-G', 'Ninja', '-S', '.', '-B', 'build', '-DCMAKE_BUILD_TYPE=None', '-DCMAKE_C_FLAGS=-O1'], this.dir);
    await this.build();
  }

  build() {
    return mustRun('ninja', ['-C', 'build', 'stdb-lua'], this.dir);
  }

  patch(name, ...words) {
    return mustRun('patch', ['-p1', '--batch', '--no-backup-if-mismatch', '-r', '-', ...words, '-i', join(this.patches, `${name}.patch`)], this.dir);
  }

  /** The bug is in the program afterwards; or, when that fails, nowhere. */
  async plant(name) {
    await this.patch(name, '--forward', '--dry-run');
    await this.patch(name, '--forward');
    try {
      await this.build();
    } catch (error) {
      await this.weed(name);
      throw error;
    }
  }

  weed(name) {
    return this.patch(name, '--reverse');
  }
}

/** Verifies a program: what was broken, or undefined when nothing was found. */
async function findFault(program, dir, cycles, seed, more = []) {
  rmSync(dir, { recursive: true, force: true });
  const words = [
    join(HERE, 'main.mjs'), '--program', program, '--dir', dir, '--cycles', cycles, '--seconds', SECONDS, '--seed', seed, ...more,
  ];
  const { code, output } = await run('node', words.map(String), ROOT);
  if (code === 0) return undefined;
  const broken = /^BROKEN (.*)$/m.exec(output);
  if (code !== 1 || !broken) throw new Error(`the verifier could not tell (exit code ${code}):\n${output}`);
  return broken[1];
}

/** What a patch begins with: a sentence, and if it needs one the kind of cycles that bring it out: `Kind: snapshot`. */
function readPatch(field, name) {
  const text = readFileSync(join(field.patches, `${name}.patch`), 'utf8');
  const kind = /^Kind: (\w+)$/m.exec(text);
  return { title: text.split('\n')[0], options: ['--disk', 'lossy', ...(kind ? ['--kind', kind[1]] : [])] };
}

/** True when the bug was caught; says so, or what is wrong. */
async function proveOne(field, name, dir, seed) {
  try {
    await field.plant(name);
  } catch (error) {
    console.log(`FAILED ${name}: the patch is stale, bring it up to the source\n  ${error.message.trim().replace(/\n/g, '\n  ')}`);
    return false;
  }
  const { title, options } = readPatch(field, name);
  const fault = await findFault(field.program, dir, CYCLES, seed, options);
  await field.weed(name);
  console.log(fault ? `caught ${name}: ${fault.slice(0, 300)}` : `FAILED ${name}: not caught in ${CYCLES} cycles: ${title}`);
  return fault !== undefined;
}

function bugNames(field, only) {
  const names = readdirSync(field.patches).filter(name => name.endsWith('.patch')).map(name => name.slice(0, -'.patch'.length)).sort();
  if (only !== undefined && !names.includes(only)) throw new Error(`there is no bug ${only} in ${field.patches}`);
  return only === undefined ? names : [only];
}

/** The exit code: 0 when every bug was caught and nothing else was. */
export async function prove({ seed, bug }) {
  const dir = mkdtempSync(join(tmpdir(), 'stdb-prove-')), field = new Field(dir), work = join(dir, 'work');
  const names = bugNames(field, bug);
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  await field.prepare();

  const blame = await findFault(field.program, work, 10, seed);
  if (blame) console.log(`FAILED: the source as it is, without any bug planted, is blamed: ${blame}`);
  let caught = 0;
  for (const name of names) caught += (await proveOne(field, name, work, seed)) ? 1 : 0;
  console.log(`${names.length} bugs planted, ${caught} caught${blame ? ', and the source as it is blamed' : ''}`);
  return caught === names.length && !blame ? 0 : 1;
}
