// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heights } from '../../../../../web/ui/heights';
import { initialOf } from '../../../../../web/ui/face';
import { Backoff } from '../../src/core/backoff';
import { liveStep, pageDirection } from '../../src/core/cursor';
import { match, roomNameOf } from '../../src/core/find';
import { parseFrame } from '../../src/core/protocol';
import { Room } from '../../src/core/room';
import { buildRows, k_group_ms_max } from '../../src/core/rows';
import { parseBody, parseSpans, safeHref } from '../../src/core/text';
import { Timeline } from '../../src/core/timeline';

const ada = { id: 'u1', name: 'Ada' };
const rahul = { id: 'u2', name: 'Rahul' };
const event = (seq, from = rahul, extra = {}) => ({ room: 'lobby', seq, prev: seq - 1, kind: 'message', from, ts: seq * 1000, body: `m${seq}`, ...extra });

test('the live rule drops what was seen, applies what follows, and asks when something is missing', () => {
  assert.equal(liveStep(12, 12, 11), 'drop');
  assert.equal(liveStep(12, 13, 12), 'apply');
  assert.equal(liveStep(12, 15, 12), 'apply', 'hidden events lie between');
  assert.equal(liveStep(12, 15, 10), 'apply', 'our cursor stands on a hidden event');
  assert.equal(liveStep(12, 15, 14), 'sync');
  assert.equal(liveStep(12, 14, undefined), 'sync');
});

test('a page ahead of the cursor is what we missed, any other is history', () => {
  assert.equal(pageDirection(12, 13, [{ seq: 13 }]), 'forward');
  assert.equal(pageDirection(12, 1, [{ seq: 1 }, { seq: 12 }]), 'history');
  assert.equal(pageDirection(12, undefined, []), 'history');
});

test('random deliveries with losses, repeats and syncs end in the whole log, each event once', () => {
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  for (let round = 0; round < 200; ++round) {
    const line = new Timeline(0);
    const server = Array.from({ length: 40 }, (_, n) => event(n + 1));
    for (let n = 0; n < 120; ++n) {
      const one = server[Math.floor(random() * server.length)];
      const step = liveStep(line.last, one.seq, one.prev);
      if (step === 'apply') line.append(one);
      if (step === 'sync' && random() < 0.5) for (const missed of server.slice(line.last, one.seq)) line.append(missed);
    }
    for (const missed of server.slice(line.last)) line.append(missed);
    assert.deepEqual(line.messages.map((message) => message.seq), server.map((one) => one.seq));
  }
});

test('events of unknown kinds move the cursor and show nothing', () => {
  const line = new Timeline(12);
  assert.equal(line.append(event(13, rahul, { kind: 'pinned' })), null);
  assert.equal(line.last, 13);
  assert.deepEqual(line.messages, []);
});

test('history goes in front, once, and the beginning is known', () => {
  const line = new Timeline(10);
  assert.equal(line.prepend([event(8), event(9), event(10)], 8), 3);
  assert.equal(line.prepend([event(8), event(9)], 8), 0);
  assert.equal(line.from, 8);
  assert.deepEqual(line.messages.map((message) => message.seq), [8, 9, 10]);
});

test('unread counts what others wrote behind the read position', () => {
  const room = new Room('lobby', { head: 10, read: 6 });
  assert.equal(room.unread('u1'), 4);
  room.begin(10);
  room.timeline.append(event(11, ada));
  room.timeline.append(event(12, rahul));
  assert.equal(room.unread('u1'), 5);
  room.timeline.prepend([event(7), event(8, ada), event(9), event(10)], 7);
  assert.equal(room.unread('u1'), 4);
  room.readTo(12);
  assert.equal(room.unread('u1'), 0);
  assert.equal(room.readTo(3), false, 'reading is monotonic');
});

test('messages of one person within five minutes stand together', () => {
  const at = (seq, from, ts) => ({ seq, from, ts, body: '', cid: undefined });
  const day = 1795000000000;
  const rows = buildRows({
    messages: [at(1, ada, day), at(2, ada, day + 1000), at(3, rahul, day + 2000), at(4, ada, day + 3000), at(5, ada, day + 3000 + k_group_ms_max)],
    pending: [], me: 'u1', marker: 0, top: 'none',
  });
  assert.deepEqual(rows.filter((row) => row.type === 'message').map((row) => row.head), [true, false, true, true, true]);
});

test('a day line stands before the first message of each day, the new-line where reading stopped', () => {
  const at = (seq, from, ts) => ({ seq, from, ts, body: '', cid: undefined });
  const noon = new Date(2026, 10, 20, 12).getTime();
  const rows = buildRows({
    messages: [at(1, rahul, noon), at(2, ada, noon + 1), at(3, rahul, noon + 86400000)],
    pending: [{ cid: 'C', room: 'lobby', body: '', user: 'u1', at: noon + 86400001 }], me: 'u1', marker: 1, top: 'start',
  });
  assert.deepEqual(rows.map((row) => row.type), ['start', 'day', 'message', 'message', 'new', 'day', 'message', 'pending']);
});

test('a message keeps its key from the outbox to the log', () => {
  const sent = { cid: 'C1', room: 'lobby', body: 'x', user: 'u1', at: 1000 };
  const before = buildRows({ messages: [], pending: [sent], me: 'u1', marker: 0, top: 'none' });
  const after = buildRows({ messages: [{ seq: 1, from: ada, ts: 1000, body: 'x', cid: 'C1' }], pending: [], me: 'u1', marker: 0, top: 'none' });
  assert.equal(before.at(-1).key, after.at(-1).key);
});

test('pauses between tries grow, stay under the ceiling and are spread', () => {
  const low = new Backoff({ base_ms: 500, cap_ms: 20000, random: () => 0 });
  const high = new Backoff({ base_ms: 500, cap_ms: 20000, random: () => 1 });
  assert.deepEqual(Array.from({ length: 8 }, () => low.next()), [250, 500, 1000, 2000, 4000, 8000, 10000, 10000]);
  assert.deepEqual(Array.from({ length: 8 }, () => high.next()), [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
  high.reset();
  assert.equal(high.next(), 500);
});

test('links are web addresses only, without the sentence around them', () => {
  assert.deepEqual(parseSpans('see https://example.org/a_(b). Yes'), [
    { type: 'text', text: 'see ' },
    { type: 'link', text: 'https://example.org/a_(b)', href: 'https://example.org/a_(b)' },
    { type: 'text', text: '. Yes' },
  ]);
  assert.deepEqual(parseSpans('(https://example.org)').map((span) => span.text), ['(', 'https://example.org', ')']);
  for (const bad of ['javascript:alert(1)', 'data:text/html,x', 'https://user:pw@example.org/', 'https://']) assert.equal(safeHref(bad), null);
});

test('code is taken as it is written', () => {
  assert.deepEqual(parseSpans('a `https://x.org` b')[1], { type: 'code', text: 'https://x.org' });
  assert.deepEqual(parseBody('before\n```cpp\nint x;\n\nint y;\n```\nafter').map((block) => block.type), ['paragraph', 'pre', 'paragraph']);
  assert.deepEqual(parseBody('```\n<b>`x`</b>\n```'), [{ type: 'pre', lang: '', text: '<b>`x`</b>' }]);
  assert.deepEqual(parseBody('``` not closed')[0].type, 'paragraph');
});

test('frames that lack what they need, or that nobody knows, are dropped', () => {
  assert.equal(parseFrame('{'), null);
  assert.equal(parseFrame('[]'), null);
  assert.equal(parseFrame('{"t":"future"}'), null);
  assert.equal(parseFrame('{"t":"constructor"}'), null);
  assert.equal(parseFrame('{"t":"ev","room":"lobby","seq":"1"}'), null);
  assert.equal(parseFrame('{"t":"ev","room":"lobby","seq":-1}'), null);
  assert.equal(parseFrame('{"t":"welcome","user":{"id":"u1"},"rooms":[]}'), null);
  assert.equal(parseFrame('{"t":"ack","cid":"c","room":"lobby","seq":13,"ts":1,"new_field":1}').seq, 13);
});

test('the virtual list knows which rows are in view, and never draws more than allowed', () => {
  const keys = Array.from({ length: 10000 }, (_, n) => `k${n}`);
  const heights = new Heights(() => 30);
  heights.setKeys(keys);
  assert.equal(heights.total, 300000);
  assert.equal(heights.indexAt(3000), 100);
  assert.ok(heights.measure([['k10', 130]]));
  assert.ok(!heights.measure([['k10', 130]]));
  assert.equal(heights.top(11), 430);
  const range = heights.range(3000, 900, 700, 160);
  assert.ok(range.start <= heights.indexAt(3000) && range.end > heights.indexAt(3900));
  assert.ok(range.end - range.start <= 160);
  heights.setKeys(['new1', 'new2', ...keys]);
  assert.equal(heights.top(13), 490, 'measured heights stay with their keys');
  assert.deepEqual(new Heights(() => 1).range(0, 100, 100, 10), { start: 0, end: 0 });
});

test('finding folds case and accents and puts beginnings first', () => {
  const items = ['lobby', 'build', 'Caf\u00E9', 're-build'].map((text) => ({ text }));
  assert.deepEqual(match('BUI', items).map((item) => item.text), ['build', 're-build']);
  assert.deepEqual(match('#cafe', items).map((item) => item.text), ['Caf\u00E9']);
  assert.equal(match('', items).length, 4);
  assert.equal(roomNameOf('#My Room'), 'my-room');
  assert.equal(roomNameOf('a/b'), '');
  assert.equal(initialOf(' \u00E9va'), '\u00C9');
});
