// SPDX-License-Identifier: Apache-2.0
//
// What stands between the reader and the present: no connection, or no storage. It says what
// happens to messages, since that is what one wonders about.

import { Ring } from '@ui/ring';
import { useEnv } from './env';
import { plural } from './words';

/** A break shorter than this isn't worth a banner. */
const k_short_break_ms = 700;

function fate(unsent: number): string {
  if (unsent === 0) return 'What you write is kept in this browser and sent once, in order, when it is back.';
  const waits = plural(unsent, 'message waits', 'messages wait');
  return `${waits} in this browser and will be sent once, in order, when it is back.`;
}

function Lost() {
  const { chat } = useEnv();
  const connecting = chat.link.state === 'connecting' || chat.link.state === 'open';
  const seconds = Math.max(1, Math.ceil((chat.link.retry_at - Date.now()) / 1000));
  const what = navigator.onLine ? (chat.link.tries > 3 ? 'The server can\u2019t be reached.' : 'The connection is lost.') : 'You\u2019re offline.';
  return (
    <div class="banner banner-warn">
      <Ring state={connecting ? 'turning' : navigator.onLine ? 'waiting' : 'off'} size={20} />
      <p>
        <strong>{what}</strong> {fate(chat.outbox.size)}
      </p>
      <span class="banner-side">
        <span class="small figures banner-when" aria-live="off">
          {connecting ? 'Trying\u2026' : `Next try in ${seconds} s`}
        </span>
        <button class="button button-small" disabled={connecting} onClick={() => chat.link.retryNow()}>
          Try now
        </button>
      </span>
    </div>
  );
}

export function Banner() {
  const { chat } = useEnv();
  const down_for = chat.down_since === null ? 0 : Date.now() - chat.down_since;
  const lost = !chat.ready && (down_for >= k_short_break_ms || !navigator.onLine);
  const room = chat.room;
  return (
    <div class="banners">
      <div role="status">{lost && <Lost />}</div>
      {!chat.outbox.durable && chat.outbox.size > 0 && (
        <div class="banner banner-warn" role="status">
          <p>
            <strong>This browser refuses to store anything.</strong> Keep this tab open until your messages are sent.
          </p>
        </div>
      )}
      {room?.lost && (
        <div class="banner" role="status">
          <p>
            <strong>{plural(room.lost.to - room.lost.from + 1, 'message was', 'messages were')} removed</strong> by the server’s retention while you were away (numbers {room.lost.from} to {room.lost.to}).
          </p>
          <span class="banner-side">
            <button
              class="button button-small"
              onClick={() => {
                room.lost = null;
                chat.markRead(room);
              }}
            >
              Understood
            </button>
          </span>
        </div>
      )}
    </div>
  );
}
