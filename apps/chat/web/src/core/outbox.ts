// SPDX-License-Identifier: Apache-2.0
//
// Messages that the server hasn't answered yet. One storage key per message, so that two tabs can
// add and settle without overwriting each other; both may send the same entry, because the server
// knows a message by (sender, cid) for ever.
//
// Rules:
//  1. An entry leaves only by ack, by our own event in the log, or by the user's hand.
//  2. Per room one entry is on the wire at a time, oldest first: a refusal of the first can't let
//     the second pass it.
//  3. After a reconnect everything on the wire counts as unsent again, with the same cid.
//  4. "Later" (rate limit, busy) holds the room's queue until its time; any other refusal parks the
//     entry for the user to decide, and the next one goes on.

import type { KeyStore } from './store';

export interface Entry {
  readonly cid: string;
  readonly room: string;
  readonly body: string;
  readonly user: string;
  readonly at: number;
  /** Set while refused: the server's code and, for "later", when to try again. */
  readonly failed?: { readonly code: string; readonly retry_at?: number; readonly tries: number };
}

const k_prefix = 'rondo.outbox.';
/** More than this a person doesn't type while offline; a runaway script would fill the storage. */
export const k_outbox_entries_max = 200;
/** Automatic tries after "later" before the entry waits for the user. */
const k_auto_tries_max = 6;
const k_default_retry_s = 2;
const k_later = new Set(['rate_limited', 'retry', 'busy', 'overloaded', 'unavailable']);

export const isLater = (code: string): boolean => k_later.has(code);

export class Outbox {
  private entries = new Map<string, Entry>();
  private readonly wire = new Map<string, { cid: string; since: number }>();
  /** False once a message could only be kept in memory. */
  durable = true;

  constructor(private readonly store: KeyStore) {
    this.reload();
  }

  /** Takes what another tab has written or removed. */
  reload(): void {
    const found: Entry[] = [];
    for (const key of this.store.keys()) {
      if (!key.startsWith(k_prefix)) continue;
      const entry = readEntry(this.store.get(key));
      if (entry && key === k_prefix + entry.cid) found.push(entry);
    }
    found.sort((a, b) => (a.cid < b.cid ? -1 : 1));
    this.entries = new Map(found.map((entry) => [entry.cid, entry]));
    for (const [room, sent] of this.wire) if (!this.entries.has(sent.cid)) this.wire.delete(room);
  }

  get size(): number {
    return this.entries.size;
  }

  get full(): boolean {
    return this.entries.size >= k_outbox_entries_max;
  }

  get(cid: string): Entry | undefined {
    return this.entries.get(cid);
  }

  /** All entries, or those of one room, oldest first. */
  list(room?: string): Entry[] {
    const all = [...this.entries.values()];
    return room === undefined ? all : all.filter((entry) => entry.room === room);
  }

  lastCid(): string | undefined {
    return [...this.entries.keys()].at(-1);
  }

  add(entry: Entry): void {
    if (this.full) throw new Error('outbox full');
    this.put(entry);
  }

  /** Answered, seen in the log, or discarded by the user. */
  settle(cid: string): Entry | undefined {
    const entry = this.entries.get(cid);
    if (!entry) return undefined;
    this.entries.delete(cid);
    this.store.remove(k_prefix + cid);
    if (this.wire.get(entry.room)?.cid === cid) this.wire.delete(entry.room);
    return entry;
  }

  refuse(cid: string, code: string, now: number, retry_after_s?: number): void {
    const entry = this.entries.get(cid);
    if (!entry) return;
    if (this.wire.get(entry.room)?.cid === cid) this.wire.delete(entry.room);
    const tries = (entry.failed?.tries ?? 0) + 1;
    const wait_s = retry_after_s ?? (isLater(code) ? k_default_retry_s * tries : undefined);
    const retry_at = wait_s === undefined ? undefined : now + wait_s * 1000;
    this.put({ ...entry, failed: { code, tries, ...(retry_at === undefined ? {} : { retry_at }) } });
  }

  /** The user says: again. `tries` starts anew. */
  retry(cid: string): void {
    const entry = this.entries.get(cid);
    if (!entry?.failed) return;
    const { failed: _, ...again } = entry;
    this.put(again);
  }

  /** What may go out now; marks it as being on the wire. */
  takeReady(user: string, now: number): Entry[] {
    const ready: Entry[] = [];
    const held = new Set(this.wire.keys());
    for (const entry of this.entries.values()) {
      if (held.has(entry.room)) continue;
      if (entry.user !== user) {
        if (entry.failed?.code !== 'other_user') this.put({ ...entry, failed: { code: 'other_user', tries: 1 } });
        continue;
      }
      if (entry.failed && isParked(entry)) continue;
      held.add(entry.room);
      if (entry.failed && (entry.failed.retry_at ?? 0) > now) continue;
      this.wire.set(entry.room, { cid: entry.cid, since: now });
      ready.push(entry);
    }
    return ready;
  }

  /** When to call takeReady() again without anything else happening; undefined: never. */
  nextRetryAt(): number | undefined {
    let next: number | undefined;
    for (const entry of this.entries.values()) {
      const at = entry.failed && !isParked(entry) ? entry.failed.retry_at : undefined;
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  onWireSince(cid: string): number | undefined {
    const entry = this.entries.get(cid);
    const sent = entry && this.wire.get(entry.room);
    return sent?.cid === cid ? sent.since : undefined;
  }

  oldestOnWire(): number | undefined {
    let oldest: number | undefined;
    for (const sent of this.wire.values()) if (oldest === undefined || sent.since < oldest) oldest = sent.since;
    return oldest;
  }

  /** The connection is gone, or an answer is overdue: everything on the wire goes again. */
  unsend(): void {
    this.wire.clear();
  }

  /** Gives an entry that belongs to another identity to this one, under a new id. */
  adopt(cid: string, user: string, fresh: string): void {
    const entry = this.settle(cid);
    if (!entry) return;
    const { failed: _, ...again } = entry;
    this.put({ ...again, cid: fresh, user });
  }

  private put(entry: Entry): void {
    this.entries.set(entry.cid, entry);
    if (!this.store.set(k_prefix + entry.cid, JSON.stringify(entry))) this.durable = false;
  }
}

/** Parked entries wait for the user; the others go again by themselves. */
export function isParked(entry: Entry): boolean {
  const failed = entry.failed;
  return failed !== undefined && (!isLater(failed.code) || failed.tries > k_auto_tries_max);
}

function readEntry(text: string | null): Entry | null {
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<Entry>;
    const whole = typeof value.cid === 'string' && typeof value.room === 'string' && typeof value.body === 'string';
    return whole && typeof value.user === 'string' ? (value as Entry) : null;
  } catch {
    return null;
  }
}
