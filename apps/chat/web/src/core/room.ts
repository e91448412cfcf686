// SPDX-License-Identifier: Apache-2.0
//
// One room as this page knows it. `timeline` is null until the server said where its log stands.

import type { Entry } from './outbox';
import type { RoomInfo, User } from './protocol';
import { Timeline, type Message } from './timeline';

export const k_lobby = 'lobby';
/** A room that nobody looks at keeps this many messages. */
const k_background_messages_max = 300;
const k_typing_ms = 6_000;

export interface Typist {
  readonly user: User;
  readonly until: number;
}

export class Room {
  topic = '';
  timeline: Timeline | null = null;
  head: number;
  oldest = 1;
  /** Up to where this user has read, on any device. */
  read: number;
  /** Where reading stopped when something new came; 0: no line to draw. */
  marker = 0;
  /** We are out of it: deleted, or no longer a member. */
  gone = false;
  members = new Map<string, User>();
  typing = new Map<string, Typist>();
  history: 'idle' | 'loading' | 'failed' = 'idle';
  history_asked_at = 0;
  syncing = false;
  max_seen = 0;
  /** Acknowledged, own event still on its way: stays visible in between. */
  acked: Message[] = [];
  /** Numbers of messages that were pruned before we could fetch them. */
  lost: { from: number; to: number } | null = null;

  constructor(
    readonly name: string,
    info: Partial<RoomInfo> = {},
  ) {
    this.head = info.head ?? 0;
    this.read = Math.min(info.read ?? 0, this.head);
    this.topic = info.topic ?? '';
    if (this.read > 0 && this.head > this.read) this.marker = this.read;
  }

  get last(): number {
    return this.timeline?.last ?? this.head;
  }

  get atStart(): boolean {
    return this.timeline !== null && this.timeline.from <= Math.max(1, this.oldest);
  }

  unread(me: string): number {
    if (this.gone) return 0;
    const line = this.timeline;
    if (!line) return Math.max(0, this.head - this.read);
    // Before what we hold we can only subtract; within it we know whose messages they are.
    const unseen = Math.max(0, line.from - 1 - this.read);
    return unseen + line.countAfter(Math.max(this.read, line.from - 1), me);
  }

  /** A message came in while nobody was looking: reading stopped here. */
  noteUnread(me: string): void {
    if (this.marker === 0 && this.read > 0 && this.unread(me) > 0) this.marker = this.read;
  }

  readTo(seq: number): boolean {
    if (seq <= this.read) return false;
    this.read = seq;
    return true;
  }

  begin(head: number): void {
    this.head = Math.max(this.head, head);
    this.timeline = new Timeline(head);
    this.history = 'idle';
    this.acked = this.acked.filter((message) => message.seq > head);
  }

  /** The server's numbers start anew (a restore): nothing we hold can be compared with it. */
  forget(): void {
    this.timeline = null;
    this.acked = [];
    this.lost = null;
    this.marker = 0;
    this.max_seen = 0;
    this.oldest = 1;
    this.quiet();
  }

  /** The connection is gone: what was asked won't be answered, who is here we don't know. */
  quiet(): void {
    this.syncing = false;
    this.history = 'idle';
    this.typing.clear();
  }

  background(): void {
    this.timeline?.trim(k_background_messages_max);
  }

  acknowledge(entry: Entry, seq: number, ts: number, from: User): void {
    this.max_seen = Math.max(this.max_seen, seq);
    if (seq <= this.last) return;
    this.acked = [...this.acked, { seq, ts, from, cid: entry.cid, body: entry.body }];
  }

  /** Acknowledged messages that the log has reached are drawn from the log. */
  settleAcked(): void {
    if (this.acked.length > 0) this.acked = this.acked.filter((message) => message.seq > this.last);
  }

  typed(user: User, now: number): void {
    this.typing.set(user.id, { user, until: now + k_typing_ms });
  }

  /** Drops those who stopped typing; true when somebody did. */
  expireTyping(now: number): boolean {
    const before = this.typing.size;
    for (const [id, typist] of this.typing) if (typist.until <= now) this.typing.delete(id);
    return this.typing.size !== before;
  }
}
