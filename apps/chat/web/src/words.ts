// SPDX-License-Identifier: Apache-2.0
//
// Times, counts and reasons in words. An error says what happened, what it means for the message,
// and what to do.

import type { Entry } from './core/outbox';
import { dayOf } from './core/rows';

const locale = navigator.language.startsWith('en') ? navigator.language : 'en-GB';
const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' });
const full = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' });
const this_year = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' });
const other_year = new Intl.DateTimeFormat(locale, { weekday: 'short', day: 'numeric', month: 'long', year: 'numeric' });
const digits = new Intl.NumberFormat(locale);

export const timeOf = (ts: number): string => clock.format(ts);
export const fullTimeOf = (ts: number): string => full.format(ts);
export const count = (value: number): string => digits.format(value);
export const badge = (value: number): string => (value > 999 ? '999+' : String(value));
export const plural = (value: number, one: string, many: string): string => `${count(value)} ${value === 1 ? one : many}`;

export function dayName(ts: number, now = Date.now()): string {
  const days = dayOf(now) - dayOf(ts);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return (new Date(ts).getFullYear() === new Date(now).getFullYear() ? this_year : other_year).format(ts);
}

export function sizeOf(bytes: number): string {
  return bytes < 1000 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(1)} kB`;
}

/** Why a message wasn't taken. */
export function refusal(entry: Entry): string {
  const code = entry.failed?.code ?? '';
  switch (code) {
    case 'rate_limited':
      return 'Too many messages at once';
    case 'retry':
    case 'busy':
    case 'overloaded':
    case 'unavailable':
      return 'The server is busy';
    case 'too_large':
      return 'Too long for this server: shorten it, or send it in parts';
    case 'not_a_member':
    case 'not_joined':
      return 'Not sent: you are not in this room';
    case 'no_such_room':
    case 'gone':
      return 'Not sent: this room no longer exists';
    case 'forbidden':
    case 'muted':
    case 'banned':
      return 'Not sent: you may not write in this room';
    case 'empty':
    case 'bad_body':
      return 'Not sent: the server can\u2019t take this text';
    case 'other_user':
      return 'Written under another name in this browser, never confirmed';
    default:
      return `Not sent: the server refused it (${code})`;
  }
}

export function typingText(names: readonly string[]): string {
  if (names.length === 0) return '';
  if (names.length === 1) return `${names[0]} is typing\u2026`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing\u2026`;
  return `${names[0]}, ${names[1]} and ${plural(names.length - 2, 'other', 'others')} are typing\u2026`;
}
