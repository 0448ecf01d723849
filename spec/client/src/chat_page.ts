// The chat example's page in a real browser: two tabs talk, and the module is changed under them.
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { preview, type PreviewServer } from 'vite';
import { equal, eventually, expect, it, runAll, Server } from './harness';

const folder = mkdtempSync(join(tmpdir(), 'stdb-chat-page-'));
const modulePath = join(folder, 'module.lua');
cpSync('../../examples/chat/module.lua', modulePath);

const server = new Server(folder);
let browser: Browser;
let site: PreviewServer;
let ann: Page;
let bob: Page;
const complaints: string[] = [];

async function openTab(): Promise<Page> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on('pageerror', error => complaints.push(error.message));
  await page.goto(`${site.resolvedUrls!.local[0]}?server=${server.url}&database=spec`);
  await page.getByText('connected', { exact: true }).waitFor();
  return page;
}

async function say(page: Page, text: string) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

const sees = (page: Page, text: string) => page.getByLabel('Messages').getByText(text).waitFor();

it('opens in two tabs, each a person of its own', async () => {
  await server.start();
  site = await preview({
    root: '../../examples/chat/web',
    configFile: false,
    preview: { host: '127.0.0.1', port: 0 },
    logLevel: 'error',
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  ann = await openTab();
  bob = await openTab();
  await eventuallyOnline(ann, 2);
});

async function eventuallyOnline(page: Page, count: number) {
  await page.waitForFunction(wanted => document.querySelectorAll('#online li').length === wanted, count);
}

it('shows a name to the other as soon as it is taken', async () => {
  await ann.getByPlaceholder('nobody yet').fill('Ann');
  await ann.getByRole('button', { name: 'Rename' }).click();
  await bob.getByLabel('People online').getByText('Ann').waitFor();
});

it('carries messages both ways', async () => {
  await say(ann, 'hello Bob');
  await sees(bob, 'hello Bob');
  await say(bob, 'hello Ann');
  await sees(ann, 'hello Ann');
});

it('shows the module\'s own words when it refuses', async () => {
  await say(ann, '');
  await ann.waitForFunction(() => (document.getElementById('error')?.textContent ?? '').length > 0);
});

it('changes its behaviour under open tabs when the module is saved', async () => {
  const source = readFileSync(modulePath, 'utf8');
  const changed = source.replace(/text = text/, 'text = text:upper()');
  expect(changed !== source, 'a place in the chat module to change');
  writeFileSync(modulePath + '.new', changed);
  renameSync(modulePath + '.new', modulePath);
  await eventually('the new version', () => /new version in force/.test(server.output));
  await say(ann, 'quiet words');
  await sees(bob, 'QUIET WORDS');
  await sees(ann, 'hello Ann');
  for (const page of [ann, bob]) equal(await page.locator('#status').textContent(), 'connected', 'the status');
});

it('keeps serving the old version while the saved one is broken', async () => {
  const source = readFileSync(modulePath, 'utf8');
  writeFileSync(modulePath, source + '\nthis is not Lua\n');
  await eventually('the complaint', () => /the old version serves on/.test(server.output));
  expect(/module\.lua:\d+:/.test(server.output), `file and line in: ${server.output}`);
  await say(bob, 'still here');
  await sees(ann, 'STILL HERE');
  writeFileSync(modulePath, source);
});

it('lists only those who are there', async () => {
  await bob.context().close();
  await eventuallyOnline(ann, 1);
});

it('raised no error in any tab', async () => {
  equal(complaints, [], 'errors');
  await browser.close();
  await site.close();
  await server.remove();
  rmSync(folder, { recursive: true, force: true });
});

await runAll();
process.exit(0);
