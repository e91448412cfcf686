// SPDX-License-Identifier: Apache-2.0
//
// Finding by a few typed letters: beginnings first, then beginnings of words, then anywhere.

const k_marks = /\p{M}/gu;

/** Without case and accents, so that "cafe" finds "Café". */
export const fold = (text: string): string => text.normalize('NFD').replace(k_marks, '').toLowerCase();

function rank(query: string, text: string): number {
  const at = text.indexOf(query);
  if (at < 0) return -1;
  if (at === 0) return 2;
  return /[\s#._-]/.test(text[at - 1]!) ? 1 : 0;
}

export function match<T extends { readonly text: string }>(query: string, items: readonly T[]): T[] {
  const wanted = fold(query.trim().replace(/^#/, ''));
  if (wanted === '') return [...items];
  const ranked = items.map((item) => ({ item, rank: rank(wanted, fold(item.text)) })).filter((one) => one.rank >= 0);
  return ranked.sort((a, b) => b.rank - a.rank).map((one) => one.item);
}

/** The room name that this text asks for; empty when it can't be one. */
export function roomNameOf(query: string): string {
  const name = query.trim().replace(/^#/, '').replace(/\s+/g, '-').toLowerCase();
  return /^[\p{L}\p{N}][\p{L}\p{N}\p{M}_.-]{0,63}$/u.test(name) ? name : '';
}
