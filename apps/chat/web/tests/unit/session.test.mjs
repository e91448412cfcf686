// SPDX-License-Identifier: Apache-2.0
// The whole session against the mock server, over real WebSockets.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import WebSocket from 'ws';
import { Backoff } from '../../src/core/backoff';
import { Chat } from '../../src/core/chat';
import { MemoryStore } from '../../src/core/store';
import { startMock } from '../mock/server.mjs';

let server;
let chats;

beforeEach(async () => {
  server = await startMock();
  chats = [];
});
afterEach(async () => {
  for (const chat of chats) chat.stop();
  await server.close();
});

function start(store = new MemoryStore()) {
  const open = () => new WebSocket(server.url.replace('http', 'ws') + '/ws');
  const chat = new Chat({ store, open, backoff: new Backoff({ base_ms: 10, cap_ms: 40 }) });
  chat.store = store;
  chats.push(chat);
  chat.start();
  return chat;
}

/** Waits for the session to reach a state; the limit only guards against hanging. */
async function until(chat, what, reached) {
  for (let turn = 0; turn < 1000; ++turn) {
    if (reached()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.fail(`never came: ${what}`);
}

/** Remembers a loss, however short: the next connection may be there before anybody looks. */
function watchLoss(chat) {
  let lost = false;
  chat.subscribe(() => (lost ||= !chat.ready));
  return () => lost;
}

async function enter(name, store) {
  const chat = start(store);
  await until(chat, 'the question for a name', () => chat.sign_in.state === 'needed' && chat.link.state === 'open');
  chat.signInAs(name);
  await until(chat, 'welcome', () => chat.ready && chat.rooms.get('lobby')?.timeline);
  chat.open('lobby');
  return chat;
}

const bodies = (chat, room = 'lobby') => chat.rooms.get(room).timeline.messages.map((message) => message.body);
const lobby = (chat) => chat.rooms.get('lobby');

test('a guest comes in, speaks, and is known again by the token', async () => {
  const ada = await enter('Ada');
  ada.send(lobby(ada), 'ship it');
  await until(ada, 'own event', () => bodies(ada).includes('ship it') && ada.outbox.size === 0);
  const again = start(ada.store);
  await until(again, 'welcome by token', () => again.ready);
  assert.deepEqual(again.me, ada.me);
});

test('two people see each other, their words and that they type', async () => {
  const ada = await enter('Ada');
  const rahul = await enter('Rahul');
  await until(ada, 'presence', () => lobby(ada).members.size === 2);
  rahul.typing(lobby(rahul));
  await until(ada, 'typing', () => lobby(ada).typing.has(rahul.me.id));
  rahul.send(lobby(rahul), 'hello');
  await until(ada, 'message', () => bodies(ada).includes('hello'));
  assert.equal(lobby(ada).typing.size, 0);
  assert.equal(lobby(ada).unread(ada.me.id), 1);
  rahul.stop();
  await until(ada, 'leaving', () => lobby(ada).members.size === 1);
});

test('what arrives before the reader\u2019s eyes is read, and gets no new-line', async () => {
  const ada = await enter('Ada');
  const rahul = await enter('Rahul');
  let eyes = true;
  rahul.watched = (room) => eyes && room === lobby(rahul);
  for (const body of ['one', 'two']) ada.send(lobby(ada), body);
  await until(rahul, 'both', () => bodies(rahul).length === 2);
  assert.equal(lobby(rahul).unread(rahul.me.id), 0);
  assert.equal(lobby(rahul).marker, 0);
  eyes = false;
  ada.send(lobby(ada), 'three');
  await until(rahul, 'the third', () => bodies(rahul).length === 3);
  assert.equal(lobby(rahul).marker, 2);
  rahul.lookedAway(lobby(rahul));
  assert.equal(lobby(rahul).marker, 2, 'it was not read yet');
  rahul.seen(lobby(rahul));
  assert.equal(lobby(rahul).marker, 2, 'it stays while one looks');
  rahul.lookedAway(lobby(rahul));
  assert.equal(lobby(rahul).marker, 0);
});

test('what is written without a connection goes out once, in order, with the ids of then', async () => {
  const ada = await enter('Ada');
  const rahul = await enter('Rahul');
  server.behave.refuse_sockets = true;
  server.cut();
  await until(ada, 'loss', () => !ada.ready);
  for (const body of ['one', 'two', 'three']) ada.send(lobby(ada), body);
  const cids = ada.outbox.list().map((entry) => entry.cid);
  server.log.length = 0;
  server.behave.refuse_sockets = false;
  await until(ada, 'empty outbox', () => ada.outbox.size === 0);
  await until(rahul, 'all three', () => bodies(rahul).length === 3);
  assert.deepEqual(bodies(rahul), ['one', 'two', 'three']);
  assert.deepEqual(server.log.filter((frame) => frame.t === 'send').map((frame) => frame.cid), cids);
});

test('an answer that got lost leads to the same id again, and to one message', async () => {
  const ada = await enter('Ada');
  server.behave.ack_ms = 1e6; // Stored, never answered, and the connection goes before the event is read.
  const say = server.say.bind(server);
  server.say = (...args) => {
    const event = say(...args);
    server.cut();
    return event;
  };
  const lost = watchLoss(ada);
  ada.send(lobby(ada), 'once');
  await until(ada, 'loss', lost);
  server.say = say;
  server.behave.ack_ms = 0;
  await until(ada, 'settled', () => ada.ready && ada.outbox.size === 0 && bodies(ada).length > 0);
  assert.deepEqual(bodies(ada), ['once']);
  assert.deepEqual(server.room('lobby').events.map((event) => event.body), ['once']);
});

test('what was missed while away arrives by resume, in pages', async () => {
  const ada = await enter('Ada');
  const rahul = server.user('Rahul').user;
  server.say('lobby', rahul, 'before');
  await until(ada, 'before', () => bodies(ada).length === 1);
  server.behave.refuse_sockets = true;
  server.cut();
  await until(ada, 'loss', () => !ada.ready);
  for (let n = 0; n < 500; ++n) server.say('lobby', rahul, `missed ${n}`);
  server.behave.refuse_sockets = false;
  await until(ada, 'all', () => bodies(ada).length === 501);
  assert.equal(bodies(ada).at(-1), 'missed 499');
  assert.equal(lobby(ada).unread(ada.me.id), 501);
});

test('a live event that does not follow the last one is answered by a sync', async () => {
  const ada = await enter('Ada');
  const rahul = server.user('Rahul').user;
  server.behave.lose_events = true;
  for (const body of ['lost 1', 'lost 2']) server.say('lobby', rahul, body);
  server.behave.lose_events = false;
  server.say('lobby', rahul, 'live');
  await until(ada, 'all three', () => bodies(ada).length === 3);
  assert.deepEqual(bodies(ada), ['lost 1', 'lost 2', 'live']);
  assert.deepEqual(server.log.filter((frame) => frame.t === 'sync').map((frame) => frame.after), [0]);
});

test('an acknowledged message whose event never comes is fetched', async () => {
  const ada = await enter('Ada');
  server.behave.lose_events = true;
  ada.send(lobby(ada), 'quiet');
  await until(ada, 'ack', () => lobby(ada).acked.length === 1);
  assert.equal(ada.outbox.size, 0);
  await until(ada, 'the log', () => bodies(ada).length === 1);
  assert.equal(lobby(ada).acked.length, 0);
});

test('history comes page by page until the beginning', async () => {
  const rahul = server.user('Rahul').user;
  for (let n = 1; n <= 350; ++n) server.say('lobby', rahul, `m${n}`);
  const ada = await enter('Ada');
  await until(ada, 'first page', () => bodies(ada).length === 60);
  while (!lobby(ada).atStart) {
    const before = bodies(ada).length;
    ada.loadOlder(lobby(ada));
    await until(ada, 'older page', () => bodies(ada).length > before);
  }
  assert.deepEqual(bodies(ada), Array.from({ length: 350 }, (_, n) => `m${n + 1}`));
});

test('a pruned range is told: numbers, and where history begins now', async () => {
  const ada = await enter('Ada');
  const rahul = server.user('Rahul').user;
  server.behave.refuse_sockets = true;
  server.cut();
  await until(ada, 'loss', () => !ada.ready);
  for (let n = 1; n <= 30; ++n) server.say('lobby', rahul, `m${n}`);
  server.prune('lobby', 21);
  server.behave.refuse_sockets = false;
  await until(ada, 'reset', () => lobby(ada)?.lost !== null && bodies(ada).length === 10);
  assert.deepEqual(lobby(ada).lost, { from: 1, to: 20 });
  assert.ok(lobby(ada).atStart);
});

test('another epoch drops all cursors: the page shows what the server has now', async () => {
  const rahul = server.user('Rahul').user;
  for (let n = 1; n <= 10; ++n) server.say('lobby', rahul, `m${n}`);
  const ada = await enter('Ada');
  await until(ada, 'ten', () => bodies(ada).length === 10);
  server.restore('lobby', 4);
  await until(ada, 'four', () => ada.ready && lobby(ada).timeline && bodies(ada).length === 4);
  server.say('lobby', rahul, 'after');
  await until(ada, 'live again', () => bodies(ada).at(-1) === 'after');
  assert.equal(lobby(ada).last, 5);
});

test('a refusal stays visible with its reason until the user decides', async () => {
  const ada = await enter('Ada');
  server.behave.nack = () => ({ code: 'muted' });
  ada.send(lobby(ada), 'no');
  await until(ada, 'refusal', () => ada.outbox.list()[0]?.failed);
  const [entry] = ada.outbox.list();
  assert.equal(entry.failed.code, 'muted');
  server.behave.nack = () => null;
  ada.retry(entry.cid);
  await until(ada, 'sent', () => bodies(ada).includes('no') && ada.outbox.size === 0);
});

test('"rate limited" is sent again by itself after its time, and nothing passes it', async () => {
  const ada = await enter('Ada');
  let left = 1;
  server.behave.nack = () => (left-- > 0 ? { code: 'rate_limited', retry_after: 1 } : null);
  for (const body of ['one', 'two', 'three']) ada.send(lobby(ada), body);
  await until(ada, 'all', () => bodies(ada).length === 3);
  assert.deepEqual(bodies(ada), ['one', 'two', 'three']);
});

test('two tabs share identity and outbox; each message is stored once', async () => {
  const ada = await enter('Ada');
  const tab = start(ada.store);
  await until(tab, 'welcome', () => tab.ready && lobby(tab).timeline);
  server.behave.refuse_sockets = true;
  server.cut();
  await until(ada, 'loss', () => !ada.ready && !tab.ready);
  for (const body of ['one', 'two']) ada.send(lobby(ada), body);
  tab.storageChanged('rondo.outbox.x');
  assert.equal(tab.outbox.size, 2);
  server.behave.refuse_sockets = false;
  await until(ada, 'all', () => bodies(ada).length === 2 && bodies(tab).length === 2);
  assert.deepEqual(server.room('lobby').events.map((event) => event.body), ['one', 'two']);
});

test('reading is told to the other tab', async () => {
  const ada = await enter('Ada');
  const tab = start(ada.store);
  await until(tab, 'welcome', () => tab.ready && lobby(tab).timeline);
  server.say('lobby', server.user('Rahul').user, 'news');
  await until(tab, 'unread', () => tab.unreadTotal() === 1 && ada.unreadTotal() === 1);
  ada.seen(lobby(ada));
  await until(tab, 'read elsewhere', () => tab.unreadTotal() === 0);
});

test('rooms are found, created, entered and left', async () => {
  const ada = await enter('Ada');
  ada.join('workshop', true);
  await until(ada, 'workshop', () => ada.current === 'workshop' && ada.room.timeline);
  ada.send(ada.room, 'first');
  await until(ada, 'message', () => bodies(ada, 'workshop').length === 1);
  const rahul = await enter('Rahul');
  rahul.askDirectory();
  await until(rahul, 'directory', () => rahul.directory.some((info) => info.room === 'workshop'));
  rahul.join('nowhere', false);
  await until(rahul, 'refusal', () => rahul.notices.length === 1);
  assert.match(rahul.notices[0].text, /no room #nowhere/);
  ada.leave('workshop');
  await until(ada, 'left', () => !ada.rooms.has('workshop'));
  assert.equal(ada.current, 'lobby');
});

test('a room that is gone is kept readable and marked', async () => {
  const ada = await enter('Ada');
  ada.join('workshop', true);
  await until(ada, 'workshop', () => ada.room?.name === 'workshop' && ada.room.timeline);
  server.rooms.delete('workshop');
  server.cut();
  await until(ada, 'gone', () => ada.ready && ada.room.gone);
  ada.leave('workshop');
  assert.ok(!ada.rooms.has('workshop'));
});

test('a token that the server forgot asks for a name again and keeps unsent messages apart', async () => {
  const ada = await enter('Ada');
  server.behave.refuse_sockets = true;
  server.cut();
  await until(ada, 'loss', () => !ada.ready);
  ada.send(lobby(ada), 'unsent');
  server.users.clear();
  server.behave.refuse_sockets = false;
  await until(ada, 'question', () => ada.sign_in.state === 'needed' && ada.sign_in.problem);
  server.user('Somebody');
  ada.signInAs('Ada');
  await until(ada, 'welcome', () => ada.ready);
  const [entry] = ada.outbox.list();
  assert.equal(entry.failed.code, 'other_user');
  ada.open('lobby');
  ada.retry(entry.cid);
  await until(ada, 'sent', () => ada.outbox.size === 0);
});

test('too long a message is refused here, before it is sent', async () => {
  const ada = await enter('Ada');
  assert.deepEqual(ada.send(lobby(ada), '\u00E4'.repeat(8193)), { code: 'too_large', bytes: 16386, max: 16384 });
  assert.equal(ada.outbox.size, 0);
});

test('a server that falls silent is noticed and left', async () => {
  const ada = await enter('Ada');
  ada.link.options.ping_ms = 30;
  ada.link.options.answer_ms = 60;
  server.behave.ignore.add('ping');
  const lost = watchLoss(ada);
  ada.link.retryNow();
  await until(ada, 'loss', lost);
  server.behave.ignore.clear();
  await until(ada, 'back', () => ada.ready);
});

test('a server that is busy at sign-in is asked again after a pause', async () => {
  const ada = await enter('Ada');
  const auth = server.auth;
  let refused = 0;
  server.auth = (session) => {
    ++refused;
    server.auth = auth;
    session.peer.send(JSON.stringify({ t: 'error', code: 'unavailable', detail: 'try again' }));
  };
  const lost = watchLoss(ada);
  server.cut();
  await until(ada, 'loss', lost);
  await until(ada, 'back', () => ada.ready);
  assert.equal(refused, 1);
  assert.equal(ada.me.name, 'Ada');
});

test('history that the server refuses can be asked for again', async () => {
  const rahul = server.user('Rahul').user;
  for (let n = 1; n <= 100; ++n) server.say('lobby', rahul, `m${n}`);
  const ada = await enter('Ada');
  await until(ada, 'first page', () => bodies(ada).length === 60);
  const history = server.on_history;
  server.on_history = (session) => {
    server.on_history = history;
    session.peer.send(JSON.stringify({ t: 'error', code: 'busy', room: 'lobby' }));
  };
  ada.loadOlder(lobby(ada));
  await until(ada, 'refusal', () => lobby(ada).history === 'failed');
  ada.loadOlder(lobby(ada));
  await until(ada, 'all', () => bodies(ada).length === 100);
  assert.deepEqual(ada.notices, []);
});
