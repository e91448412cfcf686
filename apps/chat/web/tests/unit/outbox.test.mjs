// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CidMaker } from '../../src/core/cid';
import { isParked, k_outbox_entries_max, Outbox } from '../../src/core/outbox';
import { MemoryStore } from '../../src/core/store';

const entry = (cid, room = 'lobby', user = 'u1') => ({ cid, room, body: `body of ${cid}`, user, at: 1000 });
const cids = (entries) => entries.map((one) => one.cid);

test('ids are 26 characters and sort in the order they were made', () => {
  const maker = new CidMaker(() => 1795000000123);
  const made = Array.from({ length: 500 }, () => maker.make());
  assert.ok(made.every((cid) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(cid)));
  assert.deepEqual([...made].sort(), made);
  assert.equal(new Set(made).size, made.length);
});

test('ids sort behind what an earlier visit left, even when the clock stepped back', () => {
  const before = new CidMaker(() => 1795000009999).make();
  const maker = new CidMaker(() => 1795000000000);
  maker.follow(before);
  assert.ok(maker.make() > before);
});

test('one entry per room is on the wire, the oldest', () => {
  const box = new Outbox(new MemoryStore());
  for (const cid of ['A', 'B']) box.add(entry(cid));
  box.add(entry('C', 'build'));
  assert.deepEqual(cids(box.takeReady('u1', 0)), ['A', 'C']);
  assert.deepEqual(box.takeReady('u1', 0), []);
  box.settle('A');
  assert.deepEqual(cids(box.takeReady('u1', 0)), ['B']);
});

test('after a lost connection everything unanswered goes again, same ids, in order', () => {
  const box = new Outbox(new MemoryStore());
  for (const cid of ['A', 'B', 'C']) box.add(entry(cid));
  assert.deepEqual(cids(box.takeReady('u1', 0)), ['A']);
  box.unsend();
  const sent = [];
  for (let next = box.takeReady('u1', 1); next.length > 0; next = box.takeReady('u1', 1)) {
    sent.push(...cids(next));
    box.settle(next[0].cid);
  }
  assert.deepEqual(sent, ['A', 'B', 'C']);
  assert.equal(box.size, 0);
});

test('entries survive the page and are shared with another tab', () => {
  const store = new MemoryStore();
  const here = new Outbox(store);
  const there = new Outbox(store);
  here.add(entry('B'));
  here.add(entry('A'));
  there.reload();
  assert.deepEqual(cids(there.list()), ['A', 'B']);
  there.settle('A');
  here.reload();
  assert.deepEqual(cids(here.list()), ['B']);
});

test('a storage that holds nonsense is read around', () => {
  const store = new MemoryStore();
  store.set('rondo.outbox.X', '{"cid":');
  store.set('rondo.outbox.Y', '{"cid":"Z","room":"lobby","body":"b","user":"u1","at":1}');
  store.set('rondo.outbox.Z', '{"cid":"Z","room":"lobby","body":"b","user":"u1","at":1}');
  assert.deepEqual(cids(new Outbox(store).list()), ['Z']);
});

test('"rate limited" holds the queue of its room until its time, and of no other', () => {
  const box = new Outbox(new MemoryStore());
  for (const cid of ['A', 'B']) box.add(entry(cid));
  box.add(entry('C', 'build'));
  box.takeReady('u1', 0);
  box.settle('C');
  box.refuse('A', 'rate_limited', 0, 2);
  box.add(entry('D', 'build'));
  assert.deepEqual(cids(box.takeReady('u1', 1999)), ['D']);
  assert.equal(box.nextRetryAt(), 2000);
  assert.deepEqual(cids(box.takeReady('u1', 2000)), ['A']);
});

test('"later" is given up after some tries and then waits for the user', () => {
  const box = new Outbox(new MemoryStore());
  box.add(entry('A'));
  let now = 0;
  let tries = 0;
  for (; tries < 50 && !(box.get('A').failed && isParked(box.get('A'))); ++tries) {
    now += 1e6;
    assert.deepEqual(cids(box.takeReady('u1', now)), ['A']);
    box.refuse('A', 'retry', now);
  }
  assert.equal(tries, 7);
  assert.deepEqual(box.takeReady('u1', now + 1e9), []);
  box.retry('A');
  assert.deepEqual(cids(box.takeReady('u1', now)), ['A']);
});

test('any other refusal parks the entry; the next one goes on', () => {
  const box = new Outbox(new MemoryStore());
  for (const cid of ['A', 'B']) box.add(entry(cid));
  box.takeReady('u1', 0);
  box.refuse('A', 'too_large', 0);
  assert.deepEqual(cids(box.takeReady('u1', 1e9)), ['B']);
  assert.equal(box.get('A').failed.code, 'too_large');
});

test('entries of another identity are not sent under this one unless adopted, then under a new id', () => {
  const box = new Outbox(new MemoryStore());
  box.add(entry('A', 'lobby', 'u1'));
  assert.deepEqual(box.takeReady('u2', 0), []);
  assert.equal(box.get('A').failed.code, 'other_user');
  box.adopt('A', 'u2', 'B');
  const [sent] = box.takeReady('u2', 0);
  assert.equal(sent.cid, 'B');
  assert.equal(sent.body, 'body of A');
});

test('the outbox has a limit and says so', () => {
  const box = new Outbox(new MemoryStore());
  for (let n = 0; n < k_outbox_entries_max; ++n) box.add(entry(`A${String(n).padStart(4, '0')}`));
  assert.ok(box.full);
  assert.throws(() => box.add(entry('B')), /full/);
});

test('a storage that refuses makes the outbox say that it is not durable', () => {
  const store = new MemoryStore();
  const keep = store.set.bind(store);
  store.set = (key, value) => keep(key, value) && false;
  const box = new Outbox(store);
  box.add(entry('A'));
  assert.equal(box.durable, false);
  assert.deepEqual(cids(box.takeReady('u1', 0)), ['A']);
});
