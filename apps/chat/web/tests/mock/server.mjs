// SPDX-License-Identifier: Apache-2.0
//
// A chat server in memory that speaks the protocol of the page, for its tests: rooms with a dense
// log, tokens, permanent dedupe by (user, cid), resume, history, read markers, typing, presence.
// `behave` makes it misbehave on purpose; `prune`, `restore` and `cut` do what happens to servers.

import { createServer } from 'node:http';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { WebSocketServer } from 'ws';

const k_types = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css',
  '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.json': 'application/json',
};
const k_policy = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'";
const k_page_events_max = 200;

export class MockServer {
  constructor({ dist = '', body_max = 16384, guests = true } = {}) {
    this.dist = dist;
    this.limits = { body: body_max, page: 262144 };
    this.guests = guests;
    this.epoch = 'e1';
    this.rooms = new Map();
    this.users = new Map(); // token -> {user, member_of: Set, reads: Map}
    this.sent = new Map(); // "user/cid" -> {room, seq, ts}
    this.sessions = new Set();
    this.clock = 0;
    /** Hooks for tests: nack(frame, user) -> {code, retry_after?}|null, ack_ms, ignore: Set of kinds, lose_events. */
    this.behave = { nack: () => null, ack_ms: 0, ignore: new Set(), refuse_sockets: false, lose_events: false };
    /** Every frame received, for assertions. */
    this.log = [];
    this.room('lobby', 'Everything that has no room of its own');
  }

  async listen(port = 0) {
    this.http = createServer((request, response) => this.file(request, response));
    this.wss = new WebSocketServer({ noServer: true, maxPayload: 1 << 20 });
    this.http.on('upgrade', (request, socket, head) => {
      if (this.behave.refuse_sockets || !request.url.startsWith('/ws')) return socket.destroy();
      this.wss.handleUpgrade(request, socket, head, (peer) => this.accept(peer));
    });
    await new Promise((done) => this.http.listen(port, '127.0.0.1', done));
    this.port = this.http.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async close() {
    this.cut();
    await new Promise((done) => this.http.close(done));
  }

  file(request, response) {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://x').pathname));
    const file = join(this.dist, path === '/' ? 'index.html' : path);
    if (!this.dist || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'Content-Type': k_types[extname(file)] ?? 'application/octet-stream',
      'Content-Security-Policy': k_policy,
      'X-Content-Type-Options': 'nosniff',
    });
    createReadStream(file).pipe(response);
  }

  // ---- state

  room(name, topic) {
    let room = this.rooms.get(name);
    if (!room) {
      room = { name, topic, events: [], oldest: 1, head: 0 };
      this.rooms.set(name, room);
    }
    return room;
  }

  user(name) {
    const id = `u${this.users.size + 1}`;
    const record = { user: { id, name }, token: `token-${id}`, member_of: new Set(['lobby']), reads: new Map() };
    this.users.set(record.token, record);
    return record;
  }

  /** Adds a message as if this user had sent it. `ts` only for seeding. */
  say(room_name, user, body, { ts, kind = 'message', cid } = {}) {
    const room = this.room(room_name);
    this.clock = Math.max(this.clock + 1, ts ?? Date.now());
    const event = {
      room: room.name, seq: room.head + 1, prev: room.head, kind, from: user,
      cid: cid ?? `seed${room.name}${room.head + 1}`, ts: ts ?? this.clock, body,
    };
    room.head = event.seq;
    room.events.push(event);
    if (!this.behave.lose_events) this.tell(room.name, { t: 'ev', ...event });
    return event;
  }

  prune(room_name, oldest) {
    const room = this.room(room_name);
    room.oldest = oldest;
    room.events = room.events.filter((event) => event.seq >= oldest);
  }

  /** As after `rondo chat restore`: an older state under a new epoch. */
  restore(room_name, head) {
    const room = this.room(room_name);
    room.events = room.events.filter((event) => event.seq <= head);
    room.head = head;
    this.epoch += 'x';
    this.sent.clear();
    this.cut();
  }

  /** Drops every connection without a word. */
  cut() {
    for (const session of this.sessions) session.peer.terminate();
  }

  tell(room_name, frame, except) {
    for (const session of this.sessions) {
      if (session !== except && session.rooms.has(room_name)) post(session, frame);
    }
  }

  present(room_name) {
    const here = new Map();
    for (const session of this.sessions) {
      if (session.rooms.has(room_name)) here.set(session.record.user.id, session.record.user);
    }
    return here;
  }

  // ---- a session

  accept(peer) {
    const session = { peer, record: null, rooms: new Set(), id: `s${this.log.length}` };
    this.sessions.add(session);
    peer.on('close', () => {
      this.sessions.delete(session);
      for (const name of session.rooms) this.absent(session, name);
    });
    peer.on('error', () => {});
    peer.on('message', (data, binary) => {
      if (!binary) this.frame(session, String(data));
    });
    post(session, { t: 'hello', epoch: this.epoch, node: 'mock', session: session.id, limits: this.limits, caps: this.guests ? ['guest'] : [] });
  }

  frame(session, text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return post(session, { t: 'error', code: 'bad_frame', detail: 'not JSON' });
    }
    this.log.push(frame);
    if (this.behave.ignore.has(frame.t)) return undefined;
    if (frame.t === 'auth') return this.auth(session, frame);
    if (frame.t === 'ping') return post(session, { t: 'pong' });
    if (!session.record) return post(session, { t: 'error', code: 'unauthorized', detail: 'auth first' });
    const handler = this[`on_${frame.t}`];
    if (!handler) return post(session, { t: 'error', code: 'unknown_kind', detail: String(frame.t) });
    return handler.call(this, session, frame);
  }

  auth(session, frame) {
    if (frame.token !== undefined) {
      session.record = this.users.get(frame.token) ?? null;
      if (!session.record) return post(session, { t: 'error', code: 'bad_token', detail: 'no such token' });
    } else {
      const name = String(frame.guest ?? '').trim();
      if (!this.guests) return post(session, { t: 'error', code: 'guests_off' });
      if (name === '' || name.length > 32) return post(session, { t: 'error', code: 'bad_name' });
      if ([...this.users.values()].some((other) => other.user.name === name)) return post(session, { t: 'error', code: 'name_taken' });
      session.record = this.user(name);
    }
    const { user, token, member_of, reads } = session.record;
    const rooms = [...member_of].filter((name) => this.rooms.has(name))
      .map((name) => ({ room: name, head: this.rooms.get(name).head, read: reads.get(name) ?? 0, topic: this.rooms.get(name).topic }));
    return post(session, { t: 'welcome', user, token, rooms });
  }

  enter(session, name) {
    if (session.rooms.has(name)) return;
    const was_here = this.present(name).has(session.record.user.id);
    session.rooms.add(name);
    session.record.member_of.add(name);
    if (!was_here) this.tell(name, { t: 'presence', room: name, user: session.record.user, state: 'joined' }, session);
  }

  absent(session, name) {
    session.rooms.delete(name);
    if (!session.record || this.present(name).has(session.record.user.id)) return;
    this.tell(name, { t: 'presence', room: name, user: session.record.user, state: 'left' }, session);
  }

  on_join(session, frame) {
    if (!this.rooms.has(frame.room) && frame.create !== true) return post(session, { t: 'error', code: 'no_such_room', room: frame.room });
    if (!/^[\p{L}\p{N}_.-]{1,64}$/u.test(frame.room)) return post(session, { t: 'error', code: 'bad_room', detail: 'Room names have letters, digits, dots and dashes.' });
    const room = this.room(frame.room);
    this.enter(session, room.name);
    return post(session, { t: 'joined', room: room.name, head: room.head, oldest: room.oldest, topic: room.topic, members: [...this.present(room.name).values()] });
  }

  on_leave(session, frame) {
    this.absent(session, frame.room);
    session.record.member_of.delete(frame.room);
    post(session, { t: 'left', room: frame.room });
  }

  on_rooms(session) {
    post(session, { t: 'rooms', rooms: [...this.rooms.values()].map((room) => ({ room: room.name, head: room.head, read: session.record.reads.get(room.name) ?? 0, topic: room.topic })) });
  }

  on_send(session, frame) {
    const { user } = session.record;
    const refused = this.behave.nack(frame, user);
    if (refused) return post(session, { t: 'nack', cid: frame.cid, ...refused });
    if (!session.rooms.has(frame.room)) return post(session, { t: 'nack', cid: frame.cid, code: 'not_a_member' });
    if (Buffer.byteLength(frame.body) > this.limits.body) return post(session, { t: 'nack', cid: frame.cid, code: 'too_large' });
    const known = this.sent.get(`${user.id}/${frame.cid}`);
    const answer = (at, dup) => setTimeout(() => post(session, { t: 'ack', cid: frame.cid, room: at.room, seq: at.seq, ts: at.ts, dup }), this.behave.ack_ms).unref();
    if (known) return answer(known, true);
    const event = this.say(frame.room, user, frame.body, { cid: frame.cid });
    this.sent.set(`${user.id}/${frame.cid}`, event);
    return answer(event, false);
  }

  replay(session, room, after) {
    if (after + 1 < room.oldest) {
      post(session, { t: 'reset', room: room.name, snapshot_seq: room.head, oldest: room.oldest });
      return;
    }
    const missed = room.events.filter((event) => event.seq > after);
    for (let at = 0; at < missed.length; at += k_page_events_max) this.page(session, room, missed.slice(at, at + k_page_events_max));
    post(session, { t: 'resumed', room: room.name, seq: room.head });
  }

  page(session, room, events) {
    post(session, { t: 'page', room: room.name, from: events[0]?.seq ?? 0, to: events.at(-1)?.seq ?? 0, events });
  }

  on_resume(session, frame) {
    for (const [name, after] of Object.entries(frame.cursors)) {
      const room = this.rooms.get(name);
      if (!room) {
        post(session, { t: 'gone', room: name });
        continue;
      }
      this.enter(session, name);
      if (frame.epoch !== this.epoch || after > room.head) post(session, { t: 'reset', room: name, snapshot_seq: room.head, oldest: room.oldest });
      else this.replay(session, room, after);
    }
  }

  on_sync(session, frame) {
    const room = this.rooms.get(frame.room);
    if (room) this.replay(session, room, frame.after);
  }

  on_history(session, frame) {
    const room = this.rooms.get(frame.room);
    if (!room) return;
    this.page(session, room, room.events.filter((event) => event.seq < frame.before).slice(-Math.min(frame.limit, k_page_events_max)));
  }

  on_read(session, frame) {
    const { reads, user } = session.record;
    if (frame.seq <= (reads.get(frame.room) ?? 0)) return;
    reads.set(frame.room, frame.seq);
    for (const other of this.sessions) {
      if (other !== session && other.record?.user.id === user.id) post(other, { t: 'read', room: frame.room, seq: frame.seq });
    }
  }

  on_typing(session, frame) {
    this.tell(frame.room, { t: 'typing', room: frame.room, user: session.record.user }, session);
  }
}

function post(session, frame) {
  if (session.peer.readyState === 1) session.peer.send(JSON.stringify(frame));
}

export const startMock = (options, port) => new MockServer(options).listen(port);
