// SPDX-License-Identifier: Apache-2.0
// npm run mock [-- --port 8081 --messages 10000]: the page on the mock server, to look at.

import { fileURLToPath } from 'node:url';
import { startMock } from './server.mjs';
import { fill } from './talk.mjs';

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};

const server = await startMock({ dist: fileURLToPath(new URL('../../dist', import.meta.url)) }, option('port', 0));
fill(server, option('messages', 0));
console.log(`ready on ${server.url}`);
