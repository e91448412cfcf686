// SPDX-License-Identifier: Apache-2.0
//
// The server under test: the one at RONDO_URL, or a fresh `rondo chat` on a free port.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const k_ready_ms = 30_000;

export async function startServer() {
  if (process.env.RONDO_URL) return { url: process.env.RONDO_URL, stop: async () => {} };
  const program = process.env.RONDO_PROGRAM ?? fileURLToPath(new URL('../../build/release/bin/rondo', import.meta.url));
  const data = mkdtempSync(join(tmpdir(), 'rondo-e2e-'));
  const off = ['--classic', 'off', '--lines', 'off'];
  const child = spawn(program, ['chat', '--listen', '127.0.0.1:0', '--data', data, ...off], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((done) => child.once('exit', done));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  const url = await new Promise((found, failed) => {
    const guard = setTimeout(() => failed(new Error('the server never said "ready on"')), k_ready_ms);
    child.once('error', failed);
    child.once('exit', (code) => failed(new Error(`the server ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const match = /^ready on (\S+)/.exec(line);
      if (!match) return;
      clearTimeout(guard);
      found(match[1]);
    });
  }).catch(async (error) => {
    child.kill('SIGKILL');
    rmSync(data, { recursive: true, force: true });
    throw error;
  });
  return { url, stop };
}
