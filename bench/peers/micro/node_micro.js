// SPDX-License-Identifier: Apache-2.0
// W7, W9, W10 for Node.   node node_micro.js [spawn|files]
'use strict';
const { Worker, isMainThread, parentPort } = require('worker_threads');
const put = (metric, value, unit = 'ns') => console.log(JSON.stringify({ metric, value, unit }));
const now = () => Number(process.hrtime.bigint());
const cpu = () => { const u = process.cpuUsage(); return (u.user + u.system) / 1e6; };

if (!isMainThread) {
  parentPort.on('message', (m) => { if (m < 0) process.exit(0); parentPort.postMessage(m); });
} else {
  const what = process.argv[2] || 'micro';
  ({ micro, spawn, files })[what]();
}

async function child(v) { return v; }
class Channel {
  constructor() { this.items = []; this.waiting = null; }
  give(v) { if (this.waiting) { const w = this.waiting; this.waiting = null; w(v); } else this.items.push(v); }
  take() { return this.items.length ? this.items.shift() : new Promise((r) => { this.waiting = r; }); }
}
async function micro() {
  const n = 1e6;
  let sum = 0;
  for (let i = 0; i < 1e5; i++) sum += await child(i);
  let t = now();
  for (let i = 0; i < n; i++) sum += await child(i);
  put('spawn+await', (now() - t) / n);

  await new Promise((done) => {
    let left = n;
    const step = () => { if (--left) queueMicrotask(step); else done(); };
    t = now();
    queueMicrotask(step);
  });
  put('post+run', (now() - t) / n);
  await new Promise((done) => {
    let left = n;
    const step = () => { if (--left) setImmediate(step); else done(); };
    t = now();
    setImmediate(step);
  });
  put('loop turn (setImmediate)', (now() - t) / n);

  const a = new Channel(), b = new Channel();
  const player = async (i, o, k, serve) => { if (serve) o.give(0); for (let j = 0; j < k; j++) o.give(await i.take() + 1); };
  t = now();
  await Promise.all([player(a, b, n, false), player(b, a, n, true)]);
  put('channel hop', (now() - t) / (2 * n));

  const over = [];
  for (let i = 0; i < 500; i++) {
    t = now();
    await new Promise((r) => setTimeout(r, 1));
    over.push((now() - t - 1e6) / 1e3);
  }
  over.sort((x, y) => x - y);
  put('sleep 1 ms: overshoot p50', over[250], 'us');
  put('sleep 1 ms: overshoot p99', over[495], 'us');

  const w = new Worker(__filename);
  await new Promise((r) => w.once('online', r));
  await new Promise((done) => {
    let left = 20000;
    w.on('message', () => { if (--left) w.postMessage(1); else done(); });
    t = now();
    w.postMessage(1);
  });
  put('cross-thread round trip', (now() - t) / 20000 / 1e3, 'us');
  w.postMessage(-1);

  const keep = [];
  const noop = () => {};
  for (let i = 0; i < 1e6; i++) keep.push(setTimeout(noop, 60000 + (i * 7919) % 1000000));
  const m = 200000;
  t = now();
  for (let i = 0; i < m; i++) clearTimeout(setTimeout(noop, 60000 + (i * 104729) % 1000000));
  put('timer arm+cancel, 1e6 outstanding', (now() - t) / m);
  process.exit(sum === 42 ? 1 : 0);
}
async function spawn() {
  const cp = require('child_process'), n = 500;
  let t = now(), c = cpu();
  for (let i = 0; i < n; i++) await new Promise((r) => cp.spawn('/bin/true', { stdio: 'ignore' }).on('exit', r));
  put('spawn+wait', n / ((now() - t) / 1e9), 'per s');
  put('parent CPU per spawn', (cpu() - c) * 1e6 / n, 'us');
  put('wall per spawn', (now() - t) / n / 1e3, 'us');
  const execFile = require('util').promisify(cp.execFile);
  t = now(), c = cpu();
  for (let i = 0; i < n; i++) if ((await execFile('/bin/echo', ['hello'])).stdout.length !== 6) process.exit(1);
  put('parent CPU per capture', (cpu() - c) * 1e6 / n, 'us');
  put('wall per capture', (now() - t) / n / 1e3, 'us');
}
async function files() {
  const fs = require('fs/promises'), d = (process.env.PEERS_BUILD || '.') + '/files/';
  for (let pass = 0; pass < 2; pass++) {
    let next = 0;
    const lane = async () => { while (next < 10000) if ((await fs.readFile(d + next++)).length !== 4096) process.exit(1); };
    const t = now(), c = cpu();
    await Promise.all(Array.from({ length: 64 }, lane));
    if (!pass) continue;
    put('files', 10000 / ((now() - t) / 1e9), 'per s');
    put('CPU per file', (cpu() - c) * 1e6 / 10000, 'us');
  }
  const t = now(), c = cpu();
  for (let i = 0; i < 10000; i++) if ((await fs.readFile(d + i)).length !== 4096) process.exit(1);
  put('files, one at a time', 10000 / ((now() - t) / 1e9), 'per s');
  put('CPU per file, one at a time', (cpu() - c) * 1e6 / 10000, 'us');
}
