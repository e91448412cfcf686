// SPDX-License-Identifier: Apache-2.0
//
// Turns messages into the rows of the message list: day lines, the line where reading stopped, and
// messages that stand under one name when they follow each other within five minutes.

import type { Entry } from './outbox';
import type { Message } from './timeline';

export const k_group_ms_max = 5 * 60 * 1000;

export type Row =
  | { readonly type: 'start'; readonly key: string }
  | { readonly type: 'pruned'; readonly key: string; readonly to: number }
  | { readonly type: 'loading'; readonly key: string }
  | { readonly type: 'day'; readonly key: string; readonly ts: number }
  | { readonly type: 'new'; readonly key: string }
  | { readonly type: 'message'; readonly key: string; readonly message: Message; readonly head: boolean }
  | { readonly type: 'pending'; readonly key: string; readonly entry: Entry; readonly head: boolean };

export interface RowInput {
  readonly messages: readonly Message[];
  readonly pending: readonly Entry[];
  readonly me: string;
  /** The new-line stands behind this number; 0: no line. */
  readonly marker: number;
  readonly top: 'start' | 'loading' | 'none' | { readonly pruned: number };
}

/** Days since the epoch in the reader's own time zone. */
export function dayOf(ts: number): number {
  const date = new Date(ts);
  return Math.floor((ts - date.getTimezoneOffset() * 60_000) / 86_400_000);
}

const messageKey = (message: Message): string => (message.cid ? `c${message.cid}` : `s${message.seq}`);

/** Builds on: everything from one message to the next, so that appending costs one row. */
export class RowBuilder {
  readonly rows: Row[] = [];
  private day = Number.NaN;
  private author = '';
  private ts = 0;
  private marked = false;

  constructor(private readonly input: Pick<RowInput, 'me' | 'marker'>) {}

  top(top: RowInput['top']): void {
    if (top === 'start') this.rows.push({ type: 'start', key: 'top' });
    else if (top === 'loading') this.rows.push({ type: 'loading', key: 'top' });
    else if (top !== 'none') this.rows.push({ type: 'pruned', key: 'top', to: top.pruned });
  }

  message(message: Message): void {
    this.mark(message);
    this.dayLine(message.ts);
    const head = this.startsGroup(message.from.id, message.ts);
    this.rows.push({ type: 'message', key: messageKey(message), message, head });
  }

  entry(entry: Entry): void {
    this.dayLine(entry.at);
    const head = this.startsGroup(entry.user, entry.at);
    this.rows.push({ type: 'pending', key: `c${entry.cid}`, entry, head });
  }

  private mark(message: Message): void {
    const { marker, me } = this.input;
    if (this.marked || marker <= 0 || message.seq <= marker || message.from.id === me) return;
    this.marked = true;
    this.rows.push({ type: 'new', key: 'new' });
    this.author = '';
  }

  private dayLine(ts: number): void {
    const day = dayOf(ts);
    // Only forward: our own clock, which dates unsent messages, may lag behind the server's.
    if (day <= this.day) return;
    this.day = day;
    this.author = '';
    this.rows.push({ type: 'day', key: `d${day}`, ts });
  }

  private startsGroup(author: string, ts: number): boolean {
    const same = author === this.author && ts - this.ts < k_group_ms_max;
    this.author = author;
    this.ts = ts;
    return !same;
  }
}

export function buildRows(input: RowInput): Row[] {
  const builder = new RowBuilder(input);
  builder.top(input.top);
  for (const message of input.messages) builder.message(message);
  for (const entry of input.pending) builder.entry(entry);
  return builder.rows;
}
