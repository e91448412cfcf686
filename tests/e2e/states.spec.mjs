// SPDX-License-Identifier: Apache-2.0
//
// States of the chat page that a healthy server doesn't show: refusals, slowness, pruned history, a
// room that is gone, a very long room. Against the mock server of the page's own tests.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import AxeBuilder from '@axe-core/playwright';
import { startMock } from '../../apps/chat/web/tests/mock/server.mjs';
import { fill } from '../../apps/chat/web/tests/mock/talk.mjs';
import { enter, launch, openPage, until } from './browser.mjs';

const dist = fileURLToPath(new URL('../../apps/chat/web/dist', import.meta.url));
const screens = fileURLToPath(new URL('../../build/screens/', import.meta.url));
const k_options = { timeout: 90_000 };

let browser;
let server;
let page;
let others;

before(async () => {
  mkdirSync(screens, { recursive: true });
  browser = await launch();
});
after(() => browser?.close());
beforeEach(async () => {
  server = await startMock({ dist });
  others = fill(server, 0);
});
afterEach(async () => {
  await page?.context().close();
  await server.close();
});

async function ada(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...options });
  page = await openPage(context, server.url);
  await enter(page, 'Ada');
  await page.locator('.message').first().waitFor();
}

async function say(text) {
  await page.locator('textarea').fill(text);
  await page.locator('textarea').press('Enter');
}

async function check(name) {
  await page.waitForTimeout(300); // Animations end.
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`), [], name);
  await page.screenshot({ path: `${screens}state-${name}.png` });
  assert.deepEqual(page.problems, []);
}

test('a refused message says why and offers retry, edit, discard', k_options, async () => {
  await ada();
  server.behave.nack = () => ({ code: 'muted' });
  await say('not allowed');
  await page.locator('.note-bad', { hasText: 'you may not write in this room' }).waitFor();
  await check('refused');
  await page.getByRole('button', { name: 'Edit' }).click();
  await until(page, () => document.querySelector('textarea').value === 'not allowed' && !document.querySelector('.pending'));
  server.behave.nack = () => null;
  await page.locator('textarea').press('Enter');
  await page.locator('.message:not(.pending)', { hasText: 'not allowed' }).waitFor();
});

test('"rate limited" counts down, holds what is behind it, and sends by itself', k_options, async () => {
  await ada({ colorScheme: 'dark' });
  let left = 1;
  server.behave.nack = () => (left-- > 0 ? { code: 'rate_limited', retry_after: 3 } : null);
  for (const text of ['quick one', 'quick two']) await say(text);
  await page.locator('.note-warn', { hasText: 'Sent again in' }).waitFor();
  await check('rate-limited');
  await until(page, () => !document.querySelector('.pending'));
  const sent = server.room('lobby').events.map((event) => event.body).slice(-2);
  assert.deepEqual(sent, ['quick one', 'quick two']);
});

test('a slow answer is named, and a late one settles the message', k_options, async () => {
  await ada();
  server.behave.ignore.add('send');
  await say('patience');
  await page.locator('.note', { hasText: 'takes longer than usual' }).waitFor();
  await check('slow');
  server.behave.ignore.clear();
  server.cut();
  await page.locator('.message:not(.pending)', { hasText: 'patience' }).waitFor();
});

test('too long a text is refused before it is sent, and kept', k_options, async () => {
  await ada();
  await say('x'.repeat(17_000));
  await page.locator('.composer-note.bad', { hasText: 'Too long by' }).waitFor();
  await check('too-large');
  assert.equal(await page.locator('textarea').inputValue(), 'x'.repeat(17_000));
  assert.equal(server.log.filter((frame) => frame.t === 'send').length, 0);
});

test('pruned history is told with its numbers', k_options, async () => {
  await ada();
  server.behave.refuse_sockets = true;
  server.cut();
  await page.locator('.banner-warn').waitFor();
  await check('lost');
  for (let n = 0; n < 40; ++n) server.say('lobby', others.Mira, `while away ${n}`);
  server.prune('lobby', 33);
  server.behave.refuse_sockets = false;
  await page.locator('.banner', { hasText: 'removed' }).waitFor();
  assert.match(await page.locator('.banner').textContent(), /20 messages were removed.*13 to 32/);
  await page.locator('.top-row', { hasText: 'Messages 1 to 32 were removed' }).waitFor();
  await check('pruned');
});

test('a room that is gone stays readable and says so', k_options, async () => {
  await ada();
  await page.evaluate(() => { location.hash = '#build'; });
  await page.locator('.message', { hasText: 'main is green' }).waitFor();
  server.rooms.delete('build');
  server.cut();
  await page.locator('.gone').waitFor();
  await check('gone');
  await page.getByRole('button', { name: 'Leave room' }).click();
  await page.getByRole('heading', { level: 1, name: 'lobby' }).waitFor();
});

test('before a name is chosen, and while the server is away', k_options, async () => {
  const context = await browser.newContext({ viewport: { width: 360, height: 720 }, colorScheme: 'dark' });
  page = await openPage(context, server.url);
  await page.getByLabel('Your name').waitFor();
  await check('entry');
  await page.getByRole('button', { name: 'Enter' }).click();
  await page.locator('.entry-problem', { hasText: 'Type the name' }).waitFor();
  await page.getByLabel('Your name').fill('n'.repeat(60));
  await page.getByRole('button', { name: 'Enter' }).click();
  await page.locator('.entry-problem', { hasText: 'at most 32 characters; this one has 60' }).waitFor();
  await page.getByLabel('Your name').fill('Mira');
  await page.getByRole('button', { name: 'Enter' }).click();
  await page.locator('.entry-problem', { hasText: 'has this name already' }).waitFor();
  await check('entry-taken');
});

test('theme and contrast are chosen and kept', k_options, async () => {
  await ada();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('dark');
  await page.keyboard.press('Enter');
  await page.locator('.self').click();
  await page.getByRole('menuitem', { name: 'High contrast' }).click();
  await check('dark-contrast');
  await page.reload();
  await page.locator('.message').first().waitFor();
  assert.deepEqual(await page.evaluate(() => ({ ...document.documentElement.dataset })), { theme: 'dark', contrast: 'more' });
  await page.emulateMedia({ reducedMotion: 'reduce' });
  assert.equal(await page.locator('.ring').first().evaluate((ring) => getComputedStyle(ring.querySelector('.arc')).animationName), 'none');
});

test('the new-line stands where reading stopped, and Esc takes it away', k_options, async () => {
  await ada();
  await until(page, () => document.querySelector('.message:last-child') !== null);
  await page.evaluate(() => { location.hash = '#build'; });
  await page.getByRole('heading', { level: 1, name: 'build' }).waitFor();
  server.say('lobby', others.Mira, 'first unseen');
  server.say('lobby', others.Mira, 'second unseen');
  await page.locator('.room-line', { hasText: 'lobby' }).locator('.count', { hasText: '2' }).waitFor();
  await page.locator('.room-line', { hasText: 'lobby' }).click();
  await page.locator('.new-line').waitFor();
  const order = await page.locator('.vlist-row').evaluateAll((rows) => rows.map((row) => row.textContent));
  assert.match(order[order.findIndex((text) => text === 'new') + 1], /first unseen/);
  await check('new-line');
  await page.keyboard.press('Escape');
  await page.locator('.new-line').waitFor({ state: 'detached' });
});

test('a room of 10,000 messages keeps the document small while one scrolls through it', k_options, async () => {
  server.rooms.get('lobby').events.length = 0;
  server.rooms.get('lobby').head = 0;
  fill(server, 10_000);
  await ada();
  const client = await page.context().newCDPSession(page);
  await client.send('Performance.enable');
  const cost = async () => Object.fromEntries((await client.send('Performance.getMetrics')).metrics.map((one) => [one.name, one.value]));
  const start = await cost();
  const seen = await page.evaluate(async () => {
    const list = document.querySelector('.vlist');
    let most = 0;
    let frames = 0;
    for (; frames < 3000 && !document.querySelector('.start'); ++frames) {
      list.scrollTop -= 900;
      await new Promise((done) => requestAnimationFrame(done));
      most = Math.max(most, document.querySelectorAll('.message').length);
    }
    return { most, frames, start: document.querySelector('.start') !== null };
  });
  const end = await cost();
  const spent_s = ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration'].reduce((sum, name) => sum + end[name] - start[name], 0);
  console.log(`10,000 messages: ${seen.frames} frames, at most ${seen.most} messages in the document, ${((1000 * spent_s) / seen.frames).toFixed(2)} ms script and layout per frame`);
  assert.ok(seen.start, 'reached the beginning');
  assert.ok(seen.most <= 300);
});
