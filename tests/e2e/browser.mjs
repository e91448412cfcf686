// SPDX-License-Identifier: Apache-2.0
//
// A headless Chromium that talks to loopback only.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const k_candidates = [process.env.RONDO_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const k_args = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--force-color-profile=srgb', '--font-render-hinting=none',
];

export async function launch() {
  const executablePath = k_candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('no Chromium found: install the package chromium, or set RONDO_CHROMIUM');
  return chromium.launch({ executablePath, headless: true, args: k_args });
}

/** A page that hands its WebSockets to the test, so that the test can cut them. */
export async function openPage(context, url) {
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|WebSocket connection to/.test(message.text())) page.problems.push(message.text());
  });
  await page.addInitScript(() => {
    const Real = window.WebSocket;
    window.sockets = [];
    window.WebSocket = class extends Real {
      constructor(...args) {
        super(...args);
        window.sockets.push(this);
      }
    };
  });
  await page.goto(url);
  return page;
}

export async function enter(page, name) {
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Enter' }).click();
  await page.locator('textarea').waitFor();
}

export const cutSockets = (page) => page.evaluate(() => window.sockets.forEach((socket) => socket.close()));

/** Asks the page until it says yes. (Playwright's own waiting needs eval, which the page's policy forbids.) */
export async function until(page, reached, argument) {
  for (let turn = 0; turn < 600; ++turn) {
    if (await page.evaluate(reached, argument)) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`never came: ${reached}`);
}
