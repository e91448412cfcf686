// SPDX-License-Identifier: Apache-2.0
//
// How the timelines of rooms follow the server's log: live events, pages of what was missed, pages
// of history, resets. Nothing else moves a cursor. An event is applied, dropped or answered by a
// question (cursor.ts); there is at most one such question a room on its way.

import { liveStep, pageDirection } from './cursor';
import type { ClientFrame, RoomEvent } from './protocol';
import type { Room } from './room';
import type { Message } from './timeline';

const k_first_page = 60;
const k_page = 100;

/** What the log needs of the session. */
export interface LogHost {
  /** Says a frame; false without a connection. */
  post(frame: ClientFrame): boolean;
  /** Our id, or ''. */
  me(): string;
  /** A message of ours is in the log. */
  settle(cid: string): void;
  /** A message of somebody else was put into the timeline, as it was said or afterwards. */
  arrived(room: Room, message: Message, live: boolean): void;
}

export class RoomLog {
  constructor(private readonly host: LogHost) {}

  /** Asks for older messages, unless that was asked already; true when the question left. */
  askOlder(room: Room): boolean {
    const line = room.timeline;
    if (!line || room.atStart || room.gone || room.history === 'loading') return false;
    const limit = line.messages.length === 0 ? k_first_page : k_page;
    if (!this.host.post({ t: 'history', room: room.name, before: line.from, limit })) return false;
    room.history = 'loading';
    room.history_asked_at = Date.now();
    return true;
  }

  /** A room that is looked at shows something. */
  fill(room: Room): void {
    if (room.timeline?.messages.length === 0) this.askOlder(room);
  }

  live(room: Room, event: RoomEvent): void {
    room.max_seen = Math.max(room.max_seen, event.seq);
    room.head = Math.max(room.head, event.seq);
    if (!room.timeline) return;
    const step = liveStep(room.last, event.seq, event.prev);
    if (step === 'drop') return;
    if (step === 'sync') this.missed(room, event.seq);
    else this.apply(room, event, true);
  }

  private apply(room: Room, event: RoomEvent, live: boolean): void {
    const message = room.timeline!.append(event);
    room.head = Math.max(room.head, event.seq);
    if (event.cid !== undefined && event.from?.id === this.host.me()) this.host.settle(event.cid);
    room.settleAcked();
    if (!message) return;
    room.typing.delete(message.from.id);
    if (message.from.id !== this.host.me()) this.host.arrived(room, message, live);
  }

  missed(room: Room, seq: number): void {
    room.max_seen = Math.max(room.max_seen, seq);
    if (room.syncing) return;
    room.syncing = this.host.post({ t: 'sync', room: room.name, after: room.last });
  }

  page(room: Room, events: readonly RoomEvent[], from: number | undefined): void {
    const line = room.timeline;
    if (!line) return;
    const asked = room.history === 'loading';
    if (events.length > 0 && pageDirection(line.last, from, events) === 'forward') {
      // The answer to another question may begin behind a gap: ask for what lies between.
      if ((from ?? events[0]!.seq) > line.last + 1) return this.missed(room, events.at(-1)!.seq);
      for (const event of events) this.apply(room, event, false);
      return;
    }
    if (!asked) return;
    room.history = 'idle';
    if (events.length === 0) room.oldest = line.from;
    const shown = line.prepend(events, from);
    // A page without a single message to show: the reader still waits for one.
    if (shown === 0 && !room.atStart) this.askOlder(room);
  }

  resumed(room: Room, seq: number): void {
    const before = room.last;
    room.syncing = false;
    // Past a gap that we know of nothing is skipped: those events are asked for below.
    if (room.max_seen <= room.last) room.timeline?.advance(seq);
    room.settleAcked();
    if (room.max_seen <= room.last) return;
    if (room.last > before) return this.missed(room, room.max_seen);
    // No progress: what we were told of isn't there yet. Ask again, but not in a circle.
    setTimeout(() => room.max_seen > room.last && this.missed(room, room.max_seen), 1000);
  }

  reset(room: Room, snapshot_seq: number, oldest: number | undefined): void {
    const next = room.last + 1;
    const first = oldest ?? 1;
    room.syncing = false;
    room.lost = first > next ? { from: next, to: first - 1 } : null;
    room.oldest = Math.max(1, first);
    room.begin(snapshot_seq);
  }
}
