// SPDX-License-Identifier: Apache-2.0
//
// The chat in a real browser, against the server at RONDO_URL or a `rondo chat` started here.
// Screenshots of the main states go to build/screens/.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import AxeBuilder from '@axe-core/playwright';
import { cutSockets, enter, launch, openPage, until } from './browser.mjs';
import { startServer } from './server.mjs';

const screens = fileURLToPath(new URL('../../build/screens/', import.meta.url));
const k_options = { timeout: 90_000 };
// Names and rooms of this run: a server at RONDO_URL may remember the run before.
const run = Date.now().toString(36).slice(-5);

let server;
let browser;

before(async () => {
  mkdirSync(screens, { recursive: true });
  server = await startServer();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function person(name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...options });
  const page = await openPage(context, server.url);
  await enter(page, `${name}-${run}`);
  return page;
}

const bodies = (page) => page.locator('.message .text').allTextContents();
const message = (page, text) => page.locator('.message', { hasText: text });
const settled = (page, text) => page.locator('.message:not(.pending)', { hasText: text }).waitFor();

async function say(page, text) {
  await page.locator('textarea').fill(text);
  await page.locator('textarea').press('Enter');
}

async function makeRoom(page, name) {
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill(name);
  await page.locator('.choice', { hasText: `#${name}` }).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await page.locator('.start').waitFor();
}

async function joinRoom(page, name) {
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill(name);
  await page.locator('.choice .choice-text', { hasText: new RegExp(`^${name}$`) }).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await page.locator('.vlist').waitFor();
}

/** What was read in the last moment may not have reached the server; then the page opens at the new-line. */
async function reloadToEnd(page) {
  await page.reload();
  await page.locator('.message').first().waitFor();
  await page.keyboard.press('Escape');
}

async function noViolations(page, what) {
  await page.waitForTimeout(400); // What fades in has its colours: motion takes 180 ms at most.
  const found = await new AxeBuilder({ page }).analyze();
  const told = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
  assert.deepEqual(told, [], `axe on ${what}`);
}

function noProblems(...pages) {
  for (const page of pages) assert.deepEqual(page.problems, [], 'errors of the page');
}

test('two people talk; each sees the other typing, here, and unread elsewhere', k_options, async () => {
  const ada = await person('Ada');
  const rahul = await person('Rahul');
  await say(ada, `ship it ${run}`);
  await settled(ada, `ship it ${run}`);
  await settled(rahul, `ship it ${run}`);
  await rahul.locator('textarea').pressSequentially('I am');
  await ada.locator('.typing-line', { hasText: `Rahul-${run} is typing` }).waitFor();
  await ada.locator('.members-list', { hasText: `Rahul-${run}` }).waitFor();

  await makeRoom(ada, `aside-${run}`);
  await say(rahul, `news for the lobby ${run}`);
  await ada.locator('.room-line.unread', { hasText: 'lobby' }).locator('.count').waitFor();
  assert.match(await ada.title(), /^\(\d+\) #aside/);
  await ada.locator('.room-line', { hasText: 'lobby' }).click();
  await settled(ada, `news for the lobby ${run}`);
  await until(ada, () => !document.title.startsWith('('));
  noProblems(ada, rahul);
  await ada.context().close();
  await rahul.context().close();
});

test('no new-line stands before what is read as it arrives', k_options, async () => {
  const ada = await person('Ada');
  const rahul = await person('Rahul');
  await makeRoom(ada, `eyes-${run}`);
  await say(ada, 'first');
  await joinRoom(rahul, `eyes-${run}`);
  await message(rahul, 'first').waitFor();
  await until(rahul, () => document.hasFocus());
  for (const text of ['second', 'third']) {
    await say(ada, text);
    await message(rahul, text).waitFor();
    assert.equal(await rahul.locator('.new-line').count(), 0, `a new-line with ${text}`);
  }
  noProblems(ada, rahul);
  await ada.context().close();
  await rahul.context().close();
});

test('what is written offline is sent once, in order', k_options, async () => {
  const ada = await person('Ada2');
  const rahul = await person('Rahul2');
  const room = `offline-${run}`;
  await makeRoom(ada, room);
  await joinRoom(rahul, room);
  await say(ada, 'before');
  await settled(rahul, 'before');

  await ada.context().setOffline(true);
  await cutSockets(ada);
  await ada.locator('.banner-warn').waitFor();
  for (const text of ['one', 'two', 'three']) await say(ada, text);
  await until(ada, () => document.querySelectorAll('.pending').length === 3);
  await ada.locator('.banner-warn', { hasText: '3 messages wait' }).waitFor();
  await say(rahul, 'meanwhile');
  await settled(rahul, 'meanwhile');
  assert.deepEqual(await bodies(rahul), ['before', 'meanwhile']);

  await ada.context().setOffline(false);
  await until(ada, () => document.querySelectorAll('.message').length === 5 && !document.querySelector('.pending'));
  await settled(rahul, 'three');
  const expected = ['before', 'meanwhile', 'one', 'two', 'three'];
  assert.deepEqual(await bodies(rahul), expected);
  assert.deepEqual(await bodies(ada), expected);
  await ada.reload();
  await settled(ada, 'three');
  assert.deepEqual(await bodies(ada), expected, 'the log holds each once');
  noProblems(ada, rahul);
  await ada.context().close();
  await rahul.context().close();
});

test('messages survive closing the tab before the connection is back', k_options, async () => {
  const ada = await person('Ada3');
  const room = `closed-${run}`;
  await makeRoom(ada, room);
  // The page stays loaded from the browser's point of view; only the connection is refused.
  await ada.evaluate(() => {
    window.sockets.forEach((socket) => {
      socket.send = () => {};
    });
  });
  await say(ada, 'kept');
  await ada.locator('.pending', { hasText: 'kept' }).waitFor();
  await ada.reload();
  await settled(ada, 'kept');
  assert.deepEqual(await bodies(ada), ['kept']);
  await ada.context().close();
});

test('scrolling up loads history, keeps the place, and the document stays small', k_options, async () => {
  const ada = await person('Ada4');
  const room = `long-${run}`;
  await makeRoom(ada, room);
  await fillRoom(ada, room, 400);
  await settled(ada, 'message 400');
  await reloadToEnd(ada);
  await settled(ada, 'message 400');
  const list = ada.locator('.vlist');
  await list.hover();
  for (let turn = 0; turn < 200 && (await ada.locator('.start').count()) === 0; ++turn) {
    await ada.mouse.wheel(0, -900);
    await ada.waitForTimeout(30);
    assert.ok((await ada.locator('.message').count()) <= 300);
  }
  await message(ada, /^.*message 1 /).first().waitFor();
  assert.equal(await ada.locator('.vlist-row[data-key]').evaluateAll((rows) => new Set(rows.map((row) => row.dataset.key)).size === rows.length), true);
  await ada.locator('.to-now').waitFor();
  await ada.locator('.to-now').click();
  await settled(ada, 'message 400');
  await ada.locator('.to-now').waitFor({ state: 'detached' });
  noProblems(ada);
  await ada.context().close();
});

test('a page of history never moves what is being read', k_options, async () => {
  const ada = await person('Ada5');
  const room = `still-${run}`;
  await makeRoom(ada, room);
  await fillRoom(ada, room, 300);
  await settled(ada, 'message 300');
  await reloadToEnd(ada);
  await settled(ada, 'message 300');
  // Follow one row from frame to frame while pages arrive above it.
  const moved = await ada.evaluate(async () => {
    const list = document.querySelector('.vlist');
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    let worst = 0;
    for (let round = 0; round < 6; ++round) {
      list.scrollTop = 40;
      await frame();
      const row = [...document.querySelectorAll('.vlist-row')].find((one) => one.querySelector('.message') && one.getBoundingClientRect().top > list.getBoundingClientRect().top + 60);
      if (!row) break;
      const key = row.dataset.key;
      const top = row.getBoundingClientRect().top;
      for (let n = 0; n < 25; ++n) {
        await frame();
        const now = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
        worst = Math.max(worst, now ? Math.abs(now.getBoundingClientRect().top - top) : 1e9);
      }
    }
    return worst;
  });
  assert.ok(moved <= 1, `a row moved by ${moved} px`);
  await ada.context().close();
});

test('everything works from the keyboard', k_options, async () => {
  const ada = await person('Ada6');
  await makeRoom(ada, `keys-${run}`);
  await ada.keyboard.press('Escape');
  assert.equal(await ada.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
  await ada.keyboard.type('first line');
  await ada.keyboard.press('Shift+Enter');
  await ada.keyboard.type('second line');
  await ada.keyboard.press('Enter');
  await settled(ada, 'second line');
  assert.deepEqual(await bodies(ada), ['first line\nsecond line']);
  await ada.keyboard.type('a draft');
  await ada.keyboard.press('Alt+ArrowUp');
  await until(ada, (name) => !document.querySelector('h1').textContent.includes(name), `keys-${run}`);
  await ada.keyboard.press('Alt+ArrowDown');
  await until(ada, () => document.querySelector('textarea').value === 'a draft');
  await ada.locator('.vlist').focus();
  await ada.keyboard.press('?');
  await ada.getByRole('dialog', { name: 'Keys' }).waitFor();
  await ada.keyboard.press('Escape');
  await ada.getByRole('dialog').waitFor({ state: 'detached' });
  await ada.locator('.rooms').focus();
  await ada.keyboard.press('Home');
  await ada.keyboard.press('Enter');
  await ada.getByRole('heading', { level: 1, name: 'lobby' }).waitFor();
  noProblems(ada);
  await ada.context().close();
});

test('message text is text: no markup comes alive', k_options, async () => {
  const ada = await person('Ada7');
  await makeRoom(ada, `text-${run}`);
  const nasty = '<img src=x onerror="window.hit=1"> javascript:alert(1) https://example.org/x?a=1 `<b>`';
  await say(ada, nasty);
  await settled(ada, 'onerror');
  assert.deepEqual(await ada.locator('.message a').evaluateAll((links) => links.map((one) => [one.href, one.rel.includes('noopener')])), [['https://example.org/x?a=1', true]]);
  assert.equal(await ada.locator('.message img').count(), 0);
  assert.equal(await ada.evaluate(() => window.hit), undefined);
  await ada.context().close();
});

for (const theme of ['light', 'dark']) {
  test(`no accessibility violations, ${theme}, and pictures of it`, k_options, async () => {
    const ada = await person(`Ada-${theme}`, { colorScheme: theme });
    await makeRoom(ada, `look-${theme}-${run}`);
    await noViolations(ada, 'an empty room');
    await say(ada, 'A message with `code` and https://example.org');
    await say(ada, '```cpp\nint main() { return rondo::run(serve); }\n```');
    await settled(ada, 'rondo::run');
    await ada.mouse.move(5, 5);
    await noViolations(ada, 'a room');
    for (const [width, height] of [[1440, 900], [768, 1024], [360, 720]]) {
      await ada.setViewportSize({ width, height });
      await ada.waitForTimeout(250);
      await noViolations(ada, `a room at ${width}`);
      await ada.screenshot({ path: `${screens}chat-${theme}-${width}.png` });
    }
    await ada.getByRole('button', { name: /^Rooms/ }).click();
    await ada.waitForTimeout(250);
    await noViolations(ada, 'the rooms drawer');
    await ada.screenshot({ path: `${screens}chat-${theme}-360-rooms.png` });
    await ada.keyboard.press('Escape');
    await ada.setViewportSize({ width: 1440, height: 900 });
    await ada.keyboard.press('Control+k');
    await ada.getByRole('combobox').waitFor();
    await ada.waitForTimeout(250);
    await noViolations(ada, 'the switcher');
    await ada.screenshot({ path: `${screens}chat-${theme}-switcher.png` });
    await ada.keyboard.press('Escape');
    noProblems(ada);
    await ada.context().close();
  });
}

/** Fills a room quickly: a server limits how fast one person writes, so many guests write some each. */
async function fillRoom(page, room, count) {
  const each = 15;
  for (let first = 1; first <= count; first += each) {
    const name = `fill-${run}-${room}-${first}`.slice(0, 32);
    await page.evaluate(writeAs, [name, room, first, Math.min(count, first + each - 1)]);
  }
}

/** Runs in the page: one guest writes messages first..last, each after the answer to the one before. */
async function writeAs([name, room, first, last]) {
  const socket = new WebSocket(new URL('ws', document.baseURI).href.replace(/^http/, 'ws').replace(/#.*/, ''));
  const words = 'the loop takes what is ready and comes back for the rest ';
  const frame = (fields) => socket.send(JSON.stringify(fields));
  let next = first;
  const send = () => frame({ t: 'send', room, cid: `fill${String(next).padStart(22, '0')}`, body: `message ${next} ${words.repeat(next % 4)}` });
  await new Promise((done, failed) => {
    socket.onclose = () => failed(new Error('closed while filling'));
    socket.onmessage = (event) => {
      const got = JSON.parse(event.data);
      if (got.t === 'hello') frame({ t: 'auth', guest: name });
      else if (got.t === 'welcome') frame({ t: 'join', room });
      else if (got.t === 'joined' && got.room === room) send();
      else if (got.t === 'nack') setTimeout(send, (got.retry_after ?? 0.2) * 1000);
      else if (got.t === 'ack' && ++next <= last) send();
      else if (got.t === 'ack') done();
    };
  });
  socket.onclose = null;
  socket.close();
}
