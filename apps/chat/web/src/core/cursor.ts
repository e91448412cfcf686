// SPDX-License-Identifier: Apache-2.0
//
// The live rule: what to do with an event when `last` is the newest one this page has seen.

export type Step = 'drop' | 'apply' | 'sync';

/**
 * `prev` is the event before this one that we may see. It is at or before our cursor when nothing
 * is missing (below it when the cursor stands on an event that was hidden from us), and beyond it
 * when events in between never arrived.
 */
export function liveStep(last: number, seq: number, prev: number | undefined): Step {
  if (seq <= last) return 'drop';
  if ((prev ?? seq - 1) <= last) return 'apply';
  return 'sync';
}

/** Page, or what a server's `page` answers: older history or what we missed. */
export function pageDirection(last: number, from: number | undefined, events: readonly { seq: number }[]): 'forward' | 'history' {
  const first = events[0]?.seq ?? from;
  return first !== undefined && first > last ? 'forward' : 'history';
}
