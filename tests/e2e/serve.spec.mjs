// SPDX-License-Identifier: Apache-2.0
//
// `rondo serve` in a real browser, over TLS and HTTP/2: a page of many files, its listing, a range.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch } from './browser.mjs';

const program = process.env.RONDO_PROGRAM ?? fileURLToPath(new URL('../../build/release/bin/rondo', import.meta.url));
const k_images = 60;
const folder = mkdtempSync(join(tmpdir(), 'rondo-e2e-serve-'));
// One pixel.
const k_gif = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');
const k_certificate = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem',
  '-out', 'cert.pem', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];

let server;
let url;
let browser;

before(async () => {
  const images = Array.from({ length: k_images }, (_, n) => `<img src="images/${n}.gif">`).join('\n');
  mkdirSync(join(folder, 'site/images'), { recursive: true });
  mkdirSync(join(folder, 'site/folder'));
  writeFileSync(join(folder, 'site/index.html'),
    `<!doctype html><title>Many</title><link rel="stylesheet" href="look.css"><script src="run.js" defer></script>${images}`);
  writeFileSync(join(folder, 'site/look.css'), 'body { background: rgb(1, 2, 3) }');
  writeFileSync(join(folder, 'site/run.js'), 'document.title = "Ran"');
  writeFileSync(join(folder, 'site/folder/a file.txt'), 'text\n'.repeat(1000));
  for (let n = 0; n < k_images; ++n) writeFileSync(join(folder, `site/images/${n}.gif`), k_gif);
  execFileSync('openssl', k_certificate, { cwd: folder, stdio: 'ignore' });
  server = spawn(program, ['serve', join(folder, 'site'), '--listen', '127.0.0.1:0', '--compress',
    '--tls-cert', join(folder, 'cert.pem'), '--tls-key', join(folder, 'key.pem')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((_, failed) => server.once('exit', (code) => failed(new Error(`the server ended with ${code}`))));
  const ready = new Promise((found) => {
    createInterface({ input: server.stdout }).on('line', (line) => {
      const match = /^ready on (\S+)/.exec(line);
      if (match) found(match[1]);
    });
  });
  url = await Promise.race([ready, ended]);
  ended.catch(() => {});
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

async function open(path) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
  await page.goto(new URL(path, url).href, { waitUntil: 'load' });
  return page;
}

test('a page and everything it needs comes over one HTTP/2 connection', { timeout: 90_000 }, async () => {
  const page = await open('/');
  const seen = await page.evaluate(() => ({
    title: document.title,
    background: getComputedStyle(document.body).backgroundColor,
    loaded: [...document.images].filter((image) => image.complete && image.naturalWidth === 1).length,
    entries: [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
      .filter((entry) => !entry.name.endsWith('favicon.ico'))
      .map((entry) => ({ protocol: entry.nextHopProtocol, connected: entry.connectEnd > entry.connectStart })),
  }));
  assert.equal(seen.title, 'Ran');
  assert.equal(seen.background, 'rgb(1, 2, 3)');
  assert.equal(seen.loaded, k_images);
  assert.equal(seen.entries.length, k_images + 3);
  assert.ok(seen.entries.every((entry) => entry.protocol === 'h2'), JSON.stringify(seen.entries));
  assert.ok(seen.entries.filter((entry) => entry.connected).length <= 1, 'one connection for all');
  assert.deepEqual(page.problems.filter((text) => !text.includes('404')), []);
});

test('the listing leads to a file, which comes packed and in parts', { timeout: 90_000 }, async () => {
  const page = await open('/folder/');
  await page.getByText('a file.txt').click();
  assert.equal((await page.locator('body').innerText()).trim(), 'text\n'.repeat(1000).trim());
  const got = await page.evaluate(async () => {
    const whole = await fetch('a%20file.txt', { cache: 'no-store' });
    const part = await fetch('a%20file.txt', { headers: { Range: 'bytes=5-8' } });
    return { coding: whole.headers.get('content-encoding'), size: (await whole.text()).length, status: part.status, text: await part.text() };
  });
  assert.ok(['br', 'zstd', 'gzip'].includes(got.coding), got.coding);
  assert.equal(got.size, 5000);
  assert.equal(got.status, 206);
  assert.equal(got.text, 'text');
});
