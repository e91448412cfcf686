// SPDX-License-Identifier: Apache-2.0
//
// The messages of a room. Only rows near the view are in the document (web/ui/list.tsx).

import type { MutableRef } from 'preact/hooks';
import { memo } from './memo';
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { Face } from '@ui/face';
import { Icon } from '@ui/icons';
import { List, type ListHandle } from '@ui/list';
import { Ring } from '@ui/ring';
import { k_ack_slow_ms } from './core/chat';
import { isParked, type Entry } from './core/outbox';
import type { User } from './core/protocol';
import type { Room } from './core/room';
import { buildRows, type Row } from './core/rows';
import { parseBody, type Block, type Span } from './core/text';
import type { Message } from './core/timeline';
import { useEnv } from './env';
import { count, dayName, fullTimeOf, plural, refusal, timeOf } from './words';

interface MessagesProps {
  readonly room: Room;
  readonly list: MutableRef<ListHandle | null>;
  readonly onEdit: (body: string) => void;
}

const k_chars_per_line = 80;

function guess(row: Row): number {
  if (row.type === 'start') return 200;
  if (row.type !== 'message' && row.type !== 'pending') return 48;
  const body = row.type === 'message' ? row.message.body : row.entry.body;
  const lines = Math.max(1, Math.ceil(body.length / k_chars_per_line));
  return lines * 22 + 4 + (row.head ? 34 : 0);
}

const looking = (): boolean => !document.hidden && document.hasFocus();

/** Where the next row after what the reader sees stands, and whether they look at all. */
function useReading(room: Room) {
  const { chat } = useEnv();
  const place = useRef({ at_end: true });
  const read = useCallback(() => {
    if (place.current.at_end && looking()) chat.seen(room);
  }, [chat, room]);
  useEffect(() => {
    const watched = (asked: Room): boolean => asked === room && place.current.at_end && looking();
    const turned = (): void => (looking() ? read() : chat.lookedAway(room));
    const events = ['focus', 'blur', 'visibilitychange', 'pointerdown', 'keydown'] as const;
    chat.watched = watched;
    for (const name of events) window.addEventListener(name, turned, true);
    return () => {
      if (chat.watched === watched) chat.watched = () => false;
      for (const name of events) window.removeEventListener(name, turned, true);
    };
  }, [chat, room, read]);
  return { place: place.current, read };
}

function topOf(room: Room): 'start' | 'loading' | { pruned: number } {
  if (!room.atStart) return 'loading';
  return room.oldest > 1 ? { pruned: room.oldest - 1 } : 'start';
}

export function Messages({ room, list, onEdit }: MessagesProps) {
  const { chat } = useEnv();
  const me = chat.me!;
  const line = room.timeline!;
  const pending = chat.outbox.list(room.name);
  const top = topOf(room);
  const pending_mark = pending.map((entry) => entry.cid + (entry.failed ? entry.failed.tries : '')).join();
  const rows = useMemo(
    () => buildRows({ messages: room.acked.length > 0 ? [...line.messages, ...room.acked] : line.messages, pending, me: me.id, marker: room.marker, top }),
    [line, line.version, room.acked, pending_mark, room.marker, JSON.stringify(top), me.id],
  );
  const { place, read } = useReading(room);
  const [below, setBelow] = useState(0);
  const latest = useRef(rows);
  latest.current = rows;
  const [, retell] = useReducer((n: number) => n + 1, 0);

  const onPlace = useCallback((at_end: boolean, index: number) => {
    place.at_end = at_end;
    if (at_end) read();
    let left = 0;
    for (let n = at_end ? latest.current.length : index; n < latest.current.length; ++n) if (latest.current[n]!.type === 'message') ++left;
    setBelow(left);
  }, []);
  const onNearTop = useCallback(() => chat.loadOlder(room), [chat, room]);
  // The oldest message loses its name and its day line when the page before it arrives.
  const first = line.messages[0]?.seq;
  const steady = useCallback((row: Row) => row.type === 'message' && row.message.seq !== first, [first]);
  const render = useCallback((row: Row) => <RowView row={row} me={me} room={room} onEdit={onEdit} retell={() => retell(0)} />, [me, room]);
  const begin = room.marker > 0 ? 'new' : undefined;
  return (
    <div class="messages">
      <List
        rows={rows}
        label={`Messages in ${room.name}`}
        render={render}
        guess={guess}
        steady={steady}
        {...(begin ? { begin } : {})}
        onNearTop={onNearTop}
        onPlace={onPlace}
        handle={list}
      />
      <Announcer messages={line.messages} me={me.id} />
      {below > 0 && (
        <button class="to-now" onClick={() => list.current?.toEnd()}>
          <Icon name="down" />
          <span class="figures">{count(below)}</span> below
        </button>
      )}
    </div>
  );
}

/** Reads new messages of others to screen readers; history and one's own stay silent. */
function Announcer({ messages, me }: { messages: readonly Message[]; me: string }) {
  const last = messages.at(-1);
  const first = useRef(last?.seq ?? 0);
  const text = last && last.seq > first.current && first.current > 0 && last.from.id !== me ? `${last.from.name}: ${last.body.slice(0, 500)}` : '';
  if (first.current === 0 && last) first.current = last.seq;
  return (
    <div class="hidden" role="status" aria-live="polite">
      {text}
    </div>
  );
}

interface RowProps {
  readonly row: Row;
  readonly me: User;
  readonly room: Room;
  readonly onEdit: (body: string) => void;
  readonly retell: () => void;
}

function RowView({ row, me, room, onEdit }: RowProps) {
  switch (row.type) {
    case 'start':
      return <Start room={room} />;
    case 'pruned':
      return <p class="top-row small muted">Messages 1 to {count(row.to)} were removed by this server’s retention.</p>;
    case 'loading':
      return <Older room={room} />;
    case 'day':
      return (
        <div class="day" role="separator">
          <span>{dayName(row.ts)}</span>
        </div>
      );
    case 'new':
      return (
        <div class="new-line" role="separator">
          <span>new</span>
        </div>
      );
    case 'message':
      return <MessageRow message={row.message} head={row.head} mine={row.message.from.id === me.id} />;
    case 'pending':
      return <PendingRow entry={row.entry} head={row.head} me={me} onEdit={onEdit} />;
  }
}

function Start({ room }: { room: Room }) {
  const empty = room.timeline?.messages.length === 0;
  return (
    <div class="start">
      <Ring state="mark" size={44} />
      <h2 dir="auto">#{room.name}</h2>
      {room.topic !== '' && <p>{room.topic}</p>}
      <p class="muted">{empty ? 'Nothing here yet. Say the first word.' : 'This is where the room begins.'}</p>
    </div>
  );
}

function Older({ room }: { room: Room }) {
  const { chat } = useEnv();
  if (room.history === 'failed') {
    return (
      <p class="top-row small">
        Older messages didn’t come.{' '}
        <button class="button button-small" onClick={() => chat.loadOlder(room)}>
          Try again
        </button>
      </p>
    );
  }
  return (
    <p class="top-row small muted">
      <Ring state={chat.ready ? 'turning' : 'off'} size={18} />
      {chat.ready ? 'Older messages' : 'Older messages come when the connection is back'}
    </p>
  );
}

const MessageRow = memo(function MessageRow({ message, head, mine }: { message: Message; head: boolean; mine: boolean }) {
  return (
    <div class={`message${head ? ' message-head' : ''}${mine ? ' mine' : ''}`}>
      {head ? <Face id={message.from.id} name={message.from.name} /> : <Time ts={message.ts} class="gutter" />}
      <div class="message-main">
        {head && (
          <p class="message-who">
            <span class="who" dir="auto">
              {message.from.name}
            </span>
            <Time ts={message.ts} />
          </p>
        )}
        <Body body={message.body} />
      </div>
    </div>
  );
});

function Time({ ts, class: extra = '' }: { ts: number; class?: string }) {
  return (
    <time class={`time figures ${extra}`} dateTime={new Date(ts).toISOString()} title={fullTimeOf(ts)}>
      {timeOf(ts)}
    </time>
  );
}

function PendingRow({ entry, head, me, onEdit }: { entry: Entry; head: boolean; me: User; onEdit: (body: string) => void }) {
  const { chat } = useEnv();
  const failed = entry.failed;
  const ring = chat.ready ? 'turning' : 'waiting';
  return (
    <div class={`message mine pending${head ? ' message-head' : ''}${failed ? ' failed' : ''}`}>
      {head ? <Face id={me.id} name={me.name} /> : <span class="gutter">{!failed && <Ring state={ring} size={14} />}</span>}
      <div class="message-main">
        {head && (
          <p class="message-who">
            <span class="who" dir="auto">
              {me.name}
            </span>
            {!failed && <Ring state={ring} size={14} label={chat.ready ? 'being sent' : 'waits for the connection'} />}
          </p>
        )}
        <Body body={entry.body} />
        {failed ? <Refusal entry={entry} onEdit={onEdit} /> : <Slow entry={entry} />}
      </div>
    </div>
  );
}

function Slow({ entry }: { entry: Entry }) {
  const { chat } = useEnv();
  const since = chat.outbox.onWireSince(entry.cid);
  if (since === undefined || Date.now() - since < k_ack_slow_ms) return null;
  return <p class="note small">The server takes longer than usual. The message is kept until it answers.</p>;
}

function Refusal({ entry, onEdit }: { entry: Entry; onEdit: (body: string) => void }) {
  const { chat } = useEnv();
  const wait_s = Math.ceil(((entry.failed?.retry_at ?? 0) - Date.now()) / 1000);
  const waiting = wait_s > 0;
  const itself = !isParked(entry);
  return (
    <div class={`note small ${itself ? 'note-warn' : 'note-bad'}`}>
      <Icon name="alert" />
      <span class="note-text">
        {refusal(entry)}
        {itself && (waiting ? `. Sent again in ${plural(wait_s, 'second', 'seconds')}.` : '. Sending again\u2026')}
        {!itself && '.'}
      </span>
      <span class="note-actions">
        <button class="button button-small" disabled={waiting} onClick={() => chat.retry(entry.cid)}>
          Retry
        </button>
        <button
          class="button button-small"
          onClick={() => {
            const taken = chat.discard(entry.cid);
            if (taken) onEdit(taken.body);
          }}
        >
          Edit
        </button>
        <button class="button button-small" onClick={() => chat.discard(entry.cid)}>
          Discard
        </button>
      </span>
    </div>
  );
}

const Body = memo(function Body({ body }: { body: string }) {
  return <>{parseBody(body).map(drawBlock)}</>;
});

function drawBlock(block: Block) {
  if (block.type === 'pre') {
    return (
      <pre class="code-block mono" tabIndex={0} aria-label={block.lang ? `${block.lang} code` : 'code'}>
        <code>{block.text}</code>
      </pre>
    );
  }
  return (
    <p class="text" dir="auto">
      {block.spans.map(drawSpan)}
    </p>
  );
}

function drawSpan(span: Span) {
  if (span.type === 'code') return <code class="mono">{span.text}</code>;
  if (span.type === 'text') return span.text;
  return (
    <a href={span.href} target="_blank" rel="noopener noreferrer nofollow">
      {span.text}
    </a>
  );
}
