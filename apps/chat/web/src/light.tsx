// SPDX-License-Identifier: Apache-2.0
//
// The connection light, and what it means in words.

import { Ring, type RingState } from '@ui/ring';
import type { Chat } from './core/chat';

function ringState(chat: Chat): RingState {
  if (chat.link.state === 'open') return chat.settled && !chat.ready ? 'turning' : 'live';
  if (chat.link.state === 'connecting') return 'turning';
  return navigator.onLine && chat.link.tries <= 3 ? 'waiting' : 'off';
}

export function connectionWords(chat: Chat): string {
  switch (ringState(chat)) {
    case 'live':
      return 'Connected';
    case 'turning':
      return 'Connecting\u2026';
    case 'waiting':
      return 'Connection lost, trying again';
    default:
      return navigator.onLine ? 'The server can\u2019t be reached' : 'Offline';
  }
}

export function Light({ chat, size = 20 }: { chat: Chat; size?: number }) {
  return <Ring state={ringState(chat)} size={size} />;
}
