// SPDX-License-Identifier: Apache-2.0
//
// The session: everything between the WebSocket and what is drawn. It knows no document and no
// component; the page calls its verbs and draws `rooms`, `link` and the outbox after each change.
//
// Rules:
//  1. Signed in means that `welcome` arrived on the present connection. Before that nothing but
//     `auth` is sent.
//  2. On each welcome: rooms with a timeline are resumed from their cursors, the others joined, then
//     the outbox goes out; the server works in that order.
//  3. The epoch belongs to the cursors: another epoch, and every timeline is dropped.
//  4. An event is applied, dropped or answered by a sync (roomlog.ts); nothing else moves a cursor.

import { Backoff } from './backoff';
import { CidMaker } from './cid';
import { Connection, type LinkState, type SocketLike } from './connection';
import { isLater, k_outbox_entries_max, Outbox, type Entry } from './outbox';
import { byteLength, type ClientFrame, type Limits, type RoomInfo, type ServerFrame, type User } from './protocol';
import { joinProblem, k_token_refused, k_worth_no_word, signInProblem } from './refusals';
import { k_lobby, Room } from './room';
import { RoomLog } from './roomlog';
import type { KeyStore } from './store';
import type { Message } from './timeline';

export type SignIn =
  | { readonly state: 'unknown' }
  | { readonly state: 'needed'; readonly problem?: string }
  | { readonly state: 'asking'; readonly name: string }
  | { readonly state: 'in'; readonly user: User };

export type SendProblem = { readonly code: 'too_large'; readonly bytes: number; readonly max: number } | { readonly code: 'outbox_full'; readonly max: number };

export interface ChatOptions {
  readonly open: () => SocketLike;
  readonly store: KeyStore;
  readonly backoff?: Backoff;
  readonly onMessage?: (room: Room, message: Message) => void;
}

export interface Notice {
  readonly id: number;
  readonly text: string;
}

const k_token = 'rondo.token';
const k_user = 'rondo.user';
const k_history_answer_ms = 12_000;
/** No answer for this long on a connection that lives: the same cid goes out again. */
const k_ack_overdue_ms = 15_000;
/** From here on the page says that a message takes longer than usual. */
export const k_ack_slow_ms = 4_000;
const k_typing_pause_ms = 3_000;
const k_read_pause_ms = 300;

export class Chat {
  readonly rooms = new Map<string, Room>();
  readonly outbox: Outbox;
  readonly link: Connection;
  sign_in: SignIn = { state: 'unknown' };
  /** `welcome` arrived on the present connection. */
  ready = false;
  /** Has been ready at least once: from then on a lost connection is a banner, not a page. */
  settled = false;
  /** The server's public rooms, as last told. */
  directory: RoomInfo[] = [];
  current = '';
  limits: Limits = {};
  guests = true;
  notices: Notice[] = [];
  version = 0;
  /** Since when the page is without a connection it had before. */
  down_since: number | null = null;
  /** The room whose join was asked for by name, until it is answered. */
  joining: string | null = null;
  /** Set by the page: is the end of this room before the reader's eyes just now? */
  watched: (room: Room) => boolean = () => false;

  private readonly log: RoomLog;
  private readonly cids = new CidMaker();
  private readonly listeners = new Set<() => void>();
  private epoch: string | null = null;
  private epoch_told = '';
  private token: string | null;
  private emit_queued = false;
  private ticker: ReturnType<typeof setInterval> | undefined;
  private typing_sent_at = new Map<string, number>();
  private read_timer: ReturnType<typeof setTimeout> | undefined;
  private read_due = new Set<string>();
  private notice_id = 0;

  constructor(private readonly options: ChatOptions) {
    this.outbox = new Outbox(options.store);
    const last = this.outbox.lastCid();
    if (last) this.cids.follow(last);
    this.token = options.store.get(k_token);
    this.link = new Connection({
      open: options.open,
      onFrame: (frame) => this.receive(frame),
      onState: (state) => this.linkState(state),
      ...(options.backoff ? { backoff: options.backoff } : {}),
    });
    this.log = new RoomLog({
      post: (frame) => this.post(frame),
      me: () => this.me?.id ?? '',
      settle: (cid) => {
        if (this.outbox.settle(cid)) this.flush();
      },
      arrived: (room, message, live) => this.arrived(room, message, live),
    });
  }

  // ---- what the page calls

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    this.link.start();
  }

  stop(): void {
    clearInterval(this.ticker);
    clearTimeout(this.read_timer);
    this.ticker = undefined;
    this.link.stop();
  }

  get me(): User | null {
    return this.sign_in.state === 'in' ? this.sign_in.user : null;
  }

  get room(): Room | null {
    return this.rooms.get(this.current) ?? null;
  }

  roomList(): Room[] {
    const first = (room: Room): number => (room.name === k_lobby ? 0 : 1);
    return [...this.rooms.values()].sort((a, b) => first(a) - first(b) || a.name.localeCompare(b.name));
  }

  unreadTotal(): number {
    const me = this.me?.id ?? '';
    let total = 0;
    for (const room of this.rooms.values()) total += room.unread(me);
    return total;
  }

  signInAs(name: string): void {
    this.sign_in = { state: 'asking', name };
    this.post({ t: 'auth', guest: name });
    this.changed();
  }

  /** Forgets who we are in this browser. Unsent messages stay and wait for a decision. */
  signOut(): void {
    this.options.store.remove(k_token);
    this.forgetIdentity();
  }

  open(name: string): void {
    if (this.current === name) return;
    const left = this.room;
    if (left) {
      this.lookedAway(left);
      left.background();
    }
    this.current = name;
    const room = this.room;
    if (room) this.log.fill(room);
    this.changed();
  }

  join(name: string, create: boolean): void {
    const room = this.rooms.get(name);
    if (room && !room.gone) {
      this.open(name);
      return;
    }
    this.joining = name;
    if (!this.post(create ? { t: 'join', room: name, create: true } : { t: 'join', room: name })) {
      this.joining = null;
      this.notice(`Not connected: #${name} can be joined once the connection is back.`);
    }
    this.changed();
  }

  leave(name: string): void {
    const room = this.rooms.get(name);
    if (room?.gone) this.drop(name);
    else if (!this.post({ t: 'leave', room: name })) this.notice(`Not connected: you are still in #${name}.`);
    this.changed();
  }

  askDirectory(): void {
    this.post({ t: 'rooms' });
  }

  /** Older messages of the room; asks once until answered. */
  loadOlder(room: Room): void {
    if (this.log.askOlder(room)) this.changed();
  }

  send(room: Room, body: string): SendProblem | null {
    const me = this.me;
    if (!me) return null;
    const bytes = byteLength(body);
    const max = this.limits.body ?? 16_384;
    if (bytes > max) return { code: 'too_large', bytes, max };
    if (this.outbox.full) return { code: 'outbox_full', max: k_outbox_entries_max };
    this.outbox.add({ cid: this.cids.make(), room: room.name, body, user: me.id, at: Date.now() });
    this.typing_sent_at.delete(room.name);
    room.marker = 0;
    this.flush();
    this.changed();
    return null;
  }

  retry(cid: string): void {
    const entry = this.outbox.get(cid);
    const me = this.me;
    if (!entry || !me) return;
    if (entry.user === me.id) this.outbox.retry(cid);
    else this.outbox.adopt(cid, me.id, this.cids.make());
    this.flush();
    this.changed();
  }

  discard(cid: string): Entry | undefined {
    const entry = this.outbox.settle(cid);
    this.flush();
    this.changed();
    return entry;
  }

  typing(room: Room): void {
    const now = Date.now();
    if (now - (this.typing_sent_at.get(room.name) ?? 0) < k_typing_pause_ms) return;
    if (this.post({ t: 'typing', room: room.name })) this.typing_sent_at.set(room.name, now);
  }

  /** The reader has everything of the room before their eyes. */
  seen(room: Room): void {
    if (!room.timeline || !room.readTo(room.timeline.last)) return;
    this.read_due.add(room.name);
    this.read_timer ??= setTimeout(() => this.sendReads(), k_read_pause_ms);
    this.changed();
  }

  /** The reader turned to something else: the next new-line stands where they stopped now. */
  lookedAway(room: Room): void {
    if (room.marker === 0 || room.unread(this.me?.id ?? '') > 0) return;
    room.marker = 0;
    this.changed();
  }

  /** The reader says: I'm done here. */
  markRead(room: Room): void {
    room.marker = 0;
    this.seen(room);
    this.changed();
  }

  dismiss(id: number): void {
    this.notices = this.notices.filter((notice) => notice.id !== id);
    this.changed();
  }

  notice(text: string): void {
    this.notices = [...this.notices.slice(-2), { id: ++this.notice_id, text }];
    this.changed();
  }

  /** Another tab of this browser wrote to the storage. */
  storageChanged(key: string | null): void {
    if (key === null || key.startsWith('rondo.outbox.')) {
      this.outbox.reload();
      this.changed();
    }
    if (key !== null && key !== k_token) return;
    const token = this.options.store.get(k_token);
    if (token === this.token) return;
    if (token === null) this.forgetIdentity();
    else {
      this.token = token;
      this.link.restart();
    }
  }

  // ---- the connection

  private linkState(state: LinkState): void {
    if (state !== 'open' && this.ready) {
      this.ready = false;
      this.down_since = Date.now();
      setTimeout(() => this.changed(), 750);
      this.outbox.unsend();
      for (const room of this.rooms.values()) room.quiet();
    }
    if (state !== 'open' && this.sign_in.state === 'asking') this.sign_in = { state: 'needed' };
    this.tick();
    this.changed();
  }

  private post(frame: ClientFrame): boolean {
    if (frame.t !== 'auth' && !this.ready) return false;
    return this.link.send(frame);
  }

  private receive(frame: ServerFrame): void {
    switch (frame.t) {
      case 'hello':
        return this.hello(frame);
      case 'welcome':
        return this.welcome(frame);
      case 'error':
        return this.error(frame.code, frame.detail, frame.room);
      case 'ack':
        return this.ack(frame);
      case 'nack':
        return this.nack(frame);
      case 'rooms':
        this.directory = frame.rooms;
        return this.changed();
      case 'joined':
        return this.joined(frame);
      case 'left':
        return this.drop(frame.room);
      case 'pong':
        return;
    }
    const room = this.rooms.get(frame.room);
    if (!room) return;
    this.receiveInRoom(room, frame);
    this.changed();
  }

  private receiveInRoom(room: Room, frame: Extract<ServerFrame, { room: string }>): void {
    switch (frame.t) {
      case 'ev':
        return this.log.live(room, frame);
      case 'page':
        return this.log.page(room, frame.events, frame.from);
      case 'resumed':
        return this.log.resumed(room, frame.seq);
      case 'reset':
        this.log.reset(room, frame.snapshot_seq, frame.oldest);
        if (room.name === this.current) this.log.fill(room);
        return;
      case 'gone':
        room.gone = true;
        return room.quiet();
      case 'read':
        room.readTo(frame.seq);
        if (room.unread(this.me?.id ?? '') === 0 && room !== this.room) room.marker = 0;
        return;
      case 'typing':
        if (frame.user.id !== this.me?.id) room.typed(frame.user, Date.now());
        return this.tick();
      case 'presence':
        if (frame.state === 'joined') room.members.set(frame.user.id, frame.user);
        else if (room.members.delete(frame.user.id)) room.typing.delete(frame.user.id);
        return;
    }
  }

  // ---- signing in

  private hello(frame: Extract<ServerFrame, { t: 'hello' }>): void {
    this.limits = frame.limits ?? {};
    this.guests = frame.caps === undefined || frame.caps.includes('guest');
    this.epoch_told = frame.epoch;
    if (this.token !== null) this.post({ t: 'auth', token: this.token });
    else if (this.sign_in.state !== 'asking') this.sign_in = { state: 'needed' };
    this.changed();
  }

  private welcome(frame: Extract<ServerFrame, { t: 'welcome' }>): void {
    const before = this.me ?? this.rememberedUser();
    if (before && before.id !== frame.user.id) this.rooms.clear();
    if (this.epoch !== null && this.epoch !== this.epoch_told) {
      for (const room of this.rooms.values()) room.forget();
      this.notice('The server was restored from a backup. What you see is its present state.');
    }
    this.epoch = this.epoch_told;
    this.sign_in = { state: 'in', user: frame.user };
    if (frame.token !== undefined) this.token = frame.token;
    if (this.token !== null) this.options.store.set(k_token, this.token);
    this.options.store.set(k_user, JSON.stringify(frame.user));
    this.ready = true;
    this.settled = true;
    this.down_since = null;
    this.takeRooms(frame.rooms);
    this.resume();
    this.flush();
    this.changed();
  }

  private rememberedUser(): User | null {
    try {
      return JSON.parse(this.options.store.get(k_user) ?? 'null') as User | null;
    } catch {
      return null;
    }
  }

  private takeRooms(rooms: readonly RoomInfo[]): void {
    const listed = new Set(rooms.map((info) => info.room));
    for (const [name, room] of this.rooms) {
      if (listed.has(name)) continue;
      // Left on another device, or deleted. The room being read is kept, so that nothing vanishes
      // under the reader's eyes.
      if (name === this.current) room.gone = true;
      else this.rooms.delete(name);
    }
    for (const info of rooms) {
      const room = this.rooms.get(info.room);
      if (!room) {
        this.rooms.set(info.room, new Room(info.room, info));
        continue;
      }
      room.gone = false;
      room.head = info.head;
      room.topic = info.topic ?? room.topic;
      room.readTo(Math.min(info.read ?? 0, info.head));
    }
  }

  private resume(): void {
    const cursors: Record<string, number> = {};
    for (const room of this.rooms.values()) if (room.timeline && !room.gone) cursors[room.name] = room.last;
    if (Object.keys(cursors).length > 0) {
      for (const name of Object.keys(cursors)) this.rooms.get(name)!.syncing = true;
      this.post({ t: 'resume', epoch: this.epoch!, cursors });
    }
    // Joining again is harmless, and its answer tells who is here.
    for (const room of this.rooms.values()) if (!room.gone) this.post({ t: 'join', room: room.name });
  }

  private error(code: string, detail: string | undefined, room_name: string | undefined): void {
    if (!this.ready) return this.refusedEntry(code, detail);
    if (this.joining !== null && (room_name ?? this.joining) === this.joining) {
      this.notice(joinProblem(this.joining, code, detail));
      this.joining = null;
      return;
    }
    const room = room_name === undefined ? undefined : this.rooms.get(room_name);
    if (room?.history === 'loading') room.history = 'failed';
    else if (!k_worth_no_word.has(code)) this.notice(detail ? `The server says: ${detail}.` : `The server refused something (${code}).`);
    this.changed();
  }

  private refusedEntry(code: string, detail: string | undefined): void {
    if (this.sign_in.state === 'asking') this.sign_in = { state: 'needed', problem: signInProblem(code, detail) };
    else if (this.token !== null && k_token_refused.has(code)) {
      this.options.store.remove(k_token);
      this.token = null;
      this.sign_in = { state: 'needed', problem: 'The server no longer knows this browser. Choose a name to go on.' };
    } else if (this.token !== null) this.link.giveUp(); // Busy, most likely: again after a pause.
    this.changed();
  }

  private forgetIdentity(): void {
    this.token = null;
    this.options.store.remove(k_user);
    this.sign_in = { state: 'needed' };
    this.rooms.clear();
    this.current = '';
    this.epoch = null;
    this.settled = false;
    this.outbox.unsend();
    this.ready = false;
    this.link.restart();
    this.changed();
  }

  // ---- rooms

  private joined(frame: Extract<ServerFrame, { t: 'joined' }>): void {
    let room = this.rooms.get(frame.room);
    if (!room || room.gone) {
      const asked = this.joining === frame.room;
      room = new Room(frame.room, { head: frame.head, read: frame.read ?? (asked ? frame.head : 0) });
      this.rooms.set(frame.room, room);
    }
    if (frame.oldest !== undefined) room.oldest = Math.max(1, frame.oldest);
    if (frame.topic !== undefined) room.topic = frame.topic;
    if (frame.members) room.members = new Map(frame.members.map((user) => [user.id, user]));
    if (!room.timeline) room.begin(frame.head);
    else if (frame.head > room.last) this.log.missed(room, frame.head);
    if (this.joining === frame.room) {
      this.joining = null;
      this.open(frame.room);
    }
    if (room.name === this.current) this.log.fill(room);
    this.changed();
  }

  private drop(name: string): void {
    this.rooms.delete(name);
    if (this.current === name) {
      this.current = '';
      const next = this.rooms.get(k_lobby) ?? this.roomList()[0];
      if (next) this.open(next.name);
    }
    this.changed();
  }

  // ---- reading

  /** Somebody else's message is in the timeline. */
  private arrived(room: Room, message: Message, live: boolean): void {
    // Read as it arrives: no new-line. What was missed gets one, however attentive the reader is.
    if (live && this.watched(room)) this.seen(room);
    else room.noteUnread(this.me?.id ?? '');
    if (live) this.options.onMessage?.(room, message);
  }

  /** Also called when the page goes away: what was read just now would count as unread elsewhere. */
  sendReads(): void {
    clearTimeout(this.read_timer);
    this.read_timer = undefined;
    for (const name of this.read_due) {
      const room = this.rooms.get(name);
      if (!room || this.post({ t: 'read', room: name, seq: room.read })) this.read_due.delete(name);
    }
  }

  // ---- the outbox

  private ack(frame: Extract<ServerFrame, { t: 'ack' }>): void {
    const entry = this.outbox.settle(frame.cid);
    const room = this.rooms.get(frame.room);
    if (entry && room && this.me) {
      room.acknowledge(entry, frame.seq, frame.ts, this.me);
      // Its event should be here by now; when it isn't, the log has to be asked.
      setTimeout(() => room.timeline && room.last < frame.seq && this.log.missed(room, frame.seq), 2_000);
    }
    this.flush();
    this.changed();
  }

  private nack(frame: Extract<ServerFrame, { t: 'nack' }>): void {
    this.outbox.refuse(frame.cid, frame.code, Date.now(), isLater(frame.code) ? frame.retry_after : undefined);
    this.flush();
    this.changed();
  }

  private flush(): void {
    const me = this.me;
    if (this.ready && me) {
      for (const entry of this.outbox.takeReady(me.id, Date.now())) {
        this.post({ t: 'send', room: entry.room, cid: entry.cid, body: entry.body });
      }
      if (this.read_due.size > 0) this.read_timer ??= setTimeout(() => this.sendReads(), k_read_pause_ms);
    }
    this.tick();
  }

  // ---- time

  /** Runs once a second, and only while something on the page depends on time. */
  private tick(): void {
    const now = Date.now();
    let busy = this.outbox.size > 0 || this.link.state === 'waiting' || this.link.state === 'connecting';
    for (const room of this.rooms.values()) {
      room.expireTyping(now);
      if (room.typing.size > 0) busy = true;
      if (room.history !== 'loading') continue;
      busy = true;
      if (now - room.history_asked_at > k_history_answer_ms) room.history = 'failed';
    }
    if (busy && this.ticker === undefined) {
      this.ticker = setInterval(() => {
        const overdue = this.outbox.oldestOnWire();
        if (overdue !== undefined && Date.now() - overdue > k_ack_overdue_ms) this.outbox.unsend();
        this.flush();
        this.changed();
      }, 1000);
    } else if (!busy && this.ticker !== undefined) {
      clearInterval(this.ticker);
      this.ticker = undefined;
    }
  }

  private changed(): void {
    ++this.version;
    if (this.emit_queued) return;
    this.emit_queued = true;
    queueMicrotask(() => {
      this.emit_queued = false;
      for (const listener of this.listeners) listener();
    });
  }
}
