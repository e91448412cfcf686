// SPDX-License-Identifier: Apache-2.0
//
// What this page holds of one room's log: one unbroken stretch that ends at the cursor. `from` is
// the first sequence number it covers, `last` the newest one seen, whatever its kind.

import type { RoomEvent, User } from './protocol';

export interface Message {
  readonly seq: number;
  readonly from: User;
  readonly cid: string | undefined;
  readonly ts: number;
  readonly body: string;
}

/** Event kinds that are shown; all others only move the cursor. */
function toMessage(event: RoomEvent): Message | null {
  if (event.kind !== 'message' || !event.from || typeof event.body !== 'string') return null;
  return { seq: event.seq, from: event.from, cid: event.cid, ts: event.ts, body: event.body };
}

export class Timeline {
  messages: Message[] = [];
  /** Grows with every change; `shape` only when something other than the end changed. */
  version = 0;
  shape = 0;
  from: number;
  last: number;

  constructor(head: number) {
    this.last = head;
    this.from = head + 1;
  }

  /** Appends an event that follows the cursor. Returns the message when it is one. */
  append(event: RoomEvent): Message | null {
    if (event.seq <= this.last) return null;
    this.last = event.seq;
    const message = toMessage(event);
    if (message) this.messages.push(message);
    ++this.version;
    return message;
  }

  /** The replay told us that nothing visible lies between our last event and `seq`. */
  advance(seq: number): void {
    if (seq <= this.last) return;
    this.last = seq;
    ++this.version;
  }

  /** Puts an older page in front. `from` is the first number the page covers. */
  prepend(events: readonly RoomEvent[], from: number | undefined): number {
    const older = events.filter((event) => event.seq < this.from);
    const first = Math.min(from ?? this.from, older[0]?.seq ?? this.from);
    const messages = older.map(toMessage).filter((message): message is Message => message !== null);
    if (messages.length > 0) this.messages = messages.concat(this.messages);
    if (first < this.from) this.from = Math.max(1, first);
    ++this.version;
    ++this.shape;
    return messages.length;
  }

  /** Forgets all but the newest `keep` messages: for rooms that nobody looks at. */
  trim(keep: number): void {
    if (this.messages.length <= keep) return;
    this.messages = this.messages.slice(-keep);
    this.from = this.messages[0]!.seq;
    ++this.version;
    ++this.shape;
  }

  countAfter(seq: number, not_from: string): number {
    let count = 0;
    for (let index = this.messages.length - 1; index >= 0; --index) {
      const message = this.messages[index]!;
      if (message.seq <= seq) break;
      if (message.from.id !== not_from) ++count;
    }
    return count;
  }
}
