// SPDX-License-Identifier: Apache-2.0
//
// The ring: mark, loading state and connection light in one shape. The state is in the shape too
// (closed, turning, broken into pieces, open), never in the colour alone.

export type RingState = 'mark' | 'turning' | 'live' | 'waiting' | 'off';

export function Ring({ state, size = 24, label }: { state: RingState; size?: number; label?: string }) {
  const named = label === undefined ? { 'aria-hidden': true as const } : { role: 'img' as const, 'aria-label': label };
  return (
    <svg class={`ring ring-${state}`} viewBox="0 0 24 24" width={size} height={size} style={{ width: `${size}px`, height: `${size}px` }} {...named}>
      {state === 'turning' && <circle class="track" cx="12" cy="12" r="8.5" />}
      <circle class="arc" cx="12" cy="12" r="8.5" />
      {state === 'mark' && <circle class="dot" cx="18.7" cy="6.8" r="2.6" />}
    </svg>
  );
}
