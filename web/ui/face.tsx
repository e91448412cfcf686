// SPDX-License-Identifier: Apache-2.0
//
// A person without a picture: the first letter in a ring whose colour follows from the id.

import type { ComponentChildren } from 'preact';

const k_hues = 8;

export function hueOf(id: string): number {
  let hash = 2166136261;
  for (let index = 0; index < id.length; ++index) hash = Math.imul(hash ^ id.charCodeAt(index), 16777619);
  return ((hash ^ (hash >>> 13)) >>> 0) % k_hues;
}

const graphemes = 'Segmenter' in Intl ? new Intl.Segmenter() : null;

export function initialOf(name: string): string {
  const first = graphemes?.segment(name.trim())[Symbol.iterator]().next();
  const letter = first && !first.done ? first.value.segment : [...name.trim()][0];
  return (letter ?? '?').toLocaleUpperCase();
}

export function Face({ id, name, small = false }: { id: string; name: string; small?: boolean }): ComponentChildren {
  return (
    <span class={`face hue-${hueOf(id)}${small ? ' face-small' : ''}`} aria-hidden="true">
      {initialOf(name)}
    </span>
  );
}
