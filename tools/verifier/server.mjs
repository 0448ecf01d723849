// stdb-lua as a process: started, killed, started again on the same folders.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { Violation } from './violation.mjs';

export const DATABASE = 'bank';
const PATIENCE_MS = Number(process.env.STDB_PATIENCE_MS ?? 20000);

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** A promise that gives up: what does not come in this time is not coming. */
export async function within(what, promise) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Violation(`waited ${PATIENCE_MS / 1000} s in vain for ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const children = new Set();
process.on('exit', () => children.forEach(child => child.kill('SIGKILL')));

export class Server {
  output = '';
  port = 0;
  #child;
  #ended;
  isExpectedToEnd = false;

  constructor(program, dir, module) {
    this.program = program;
    this.dir = dir;
    this.module = module;
    this.dataDir = join(dir, 'data');
    this.logDir = join(this.dataDir, 'databases', DATABASE, 'log');
  }

  /** Starts the process without waiting for it. `environment` is added to ours. */
  launch(options, environment) {
    const words = ['run', '--listen-addr', '127.0.0.1:0', '--data-dir', this.dataDir, '--database', DATABASE, ...options, this.module];
    const child = spawn(this.program, words, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, XDG_STATE_HOME: join(this.dir, 'state'), ...environment },
    });
    this.output = '';
    this.#child = child;
    this.isExpectedToEnd = false;
    children.add(child);
    child.stderr.on('data', data => (this.output += data));
    child.on('error', error => (this.output += error.message));
    this.#ended = new Promise(resolve => child.on('close', code => {
      children.delete(child);
      resolve(code);
    }));
  }

  /** The end of what it said, without what is only for information. */
  #lastWords() {
    const lines = this.output.split('\n').filter(line => line !== '' && !/ INFO /.test(line));
    return lines.slice(-3).map(line => line.replace(/^\S+Z /, '')).join(' | ') || 'it said nothing';
  }

  /** Starts it and waits until it serves. */
  async start(options, environment) {
    this.launch(options, environment);
    const served = (async () => {
      for (;;) {
        const found = /served at http:\/\/127\.0\.0\.1:(\d+)/.exec(this.output);
        if (found) return Number(found[1]);
        await sleep(2);
      }
    })();
    const ended = this.#ended.then(code => {
      throw new Violation(`the server does not start (exit code ${code}): ${this.#lastWords()}`);
    });
    ended.catch(() => {});
    this.port = await within('the server to start', Promise.race([served, ended]));
    this.ended = this.#ended.then(code => {
      if (this.isExpectedToEnd) return;
      throw new Violation(`the server ended by itself (exit code ${code}): ${this.#lastWords()}`);
    });
    this.ended.catch(() => {});
  }

  async #end(signal) {
    this.isExpectedToEnd = true;
    this.#child?.kill(signal);
    return within('the server to end', this.#ended);
  }

  kill() {
    return this.#end('SIGKILL');
  }

  /** Ends it in order. */
  async stop() {
    const code = await this.#end('SIGTERM');
    if (code !== 0) throw new Violation(`the server ended with exit code ${code}: ${this.#lastWords()}`);
  }

  /** A request to the database; the answer's status and text. Rejects when the connection breaks. */
  post(what, body, headers) {
    const options = { port: this.port, host: '127.0.0.1', method: 'POST', path: `/v1/database/${DATABASE}/${what}`, headers };
    return new Promise((resolve, reject) => {
      const asked = request(options, answer => {
        let text = '';
        answer.on('data', data => (text += data));
        answer.on('end', () => resolve({ status: answer.statusCode, text }));
        answer.on('error', reject);
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }

  #ownerToken() {
    return readFileSync(join(this.dataDir, 'owner-token'), 'utf8').trim();
  }

  ownerIdentity() {
    return JSON.parse(Buffer.from(this.#ownerToken().split('.')[1], 'base64url')).hex_identity;
  }

  postAsOwner(what, body) {
    return this.post(what, body, { Authorization: `Bearer ${this.#ownerToken()}` });
  }

  snapshot() {
    return this.postAsOwner('snapshot', '');
  }
}
