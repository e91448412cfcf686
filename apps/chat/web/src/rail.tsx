// SPDX-License-Identifier: Apache-2.0
//
// The left column: rooms with what is unread, and who one is here. Under 720 px it is a drawer.

import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from '@ui/icons';
import { Ring } from '@ui/ring';
import type { Overlay } from './app';
import type { Room } from './core/room';
import { useEnv } from './env';
import { connectionWords, Light } from './light';
import { badge, plural } from './words';

export const shortcut = /Mac|iPhone|iPad/.test(navigator.platform) ? '\u2318K' : 'Ctrl K';

interface RailProps {
  readonly open: boolean;
  readonly drawer: boolean;
  readonly setOverlay: (next: Overlay) => void;
}

export function Rail({ open, drawer, setOverlay }: RailProps) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    if (drawer && open) box.current?.querySelector<HTMLElement>('[role="listbox"]')?.focus();
  }, [drawer, open]);
  return (
    <nav ref={box} class={`rail${drawer ? ' drawer' : ''}${open ? '' : ' closed'}`} aria-label="Rooms">
      <div class="rail-head">
        <Ring state="mark" size={26} />
        <span class="brand">Rondo</span>
        {drawer && (
          <button class="icon-button" aria-label="Close rooms" onClick={() => setOverlay('none')}>
            <Icon name="close" />
          </button>
        )}
      </div>
      <button class="rail-find" onClick={() => setOverlay('switcher')}>
        <Icon name="find" />
        <span>Find or do</span>
        <span class="kbd" aria-hidden="true">
          {shortcut}
        </span>
      </button>
      <div class="rail-label">
        <h2 class="small muted" id="rooms-label">
          Rooms
        </h2>
        <button class="icon-button" aria-label="New room" title="Join or create a room" onClick={() => setOverlay('switcher')}>
          <Icon name="plus" />
        </button>
      </div>
      <RoomList onPick={() => drawer && setOverlay('none')} />
      <Self setOverlay={setOverlay} />
    </nav>
  );
}

/** A list box: arrows move, Enter opens; a click does both. */
function RoomList({ onPick }: { onPick: () => void }) {
  const { chat } = useEnv();
  const rooms = chat.roomList();
  const [active, setActive] = useState<string | null>(null);
  const marked = active !== null && chat.rooms.has(active) ? active : chat.current;
  const pick = (name: string): void => {
    chat.open(name);
    setActive(null);
    onPick();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const at = rooms.findIndex((room) => room.name === marked);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rooms.length - 1 }[event.key];
    if (to !== undefined && !event.altKey) setActive(rooms[Math.max(0, Math.min(rooms.length - 1, to))]?.name ?? null);
    else if ((event.key === 'Enter' || event.key === ' ') && chat.rooms.has(marked)) pick(marked);
    else return;
    event.preventDefault();
  };
  if (rooms.length === 0) return <p class="rail-empty small muted">You are in no room yet.</p>;
  return (
    <div
      class="rooms"
      role="listbox"
      tabIndex={0}
      aria-labelledby="rooms-label"
      aria-activedescendant={`room-${marked}`}
      onKeyDown={onKeyDown}
      onBlur={() => setActive(null)}
    >
      {rooms.map((room) => (
        <RoomLine key={room.name} room={room} open={room.name === chat.current} active={room.name === marked} onPick={pick} />
      ))}
    </div>
  );
}

interface RoomLineProps {
  readonly room: Room;
  readonly open: boolean;
  readonly active: boolean;
  readonly onPick: (name: string) => void;
}

function RoomLine({ room, open, active, onPick }: RoomLineProps) {
  const { chat, store } = useEnv();
  const unread = room.unread(chat.me?.id ?? '');
  const unsent = chat.outbox.list(room.name).length;
  const draft = !open && (store.get(`rondo.draft.${room.name}`) ?? '') !== '';
  const line = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (active) line.current?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  return (
    <div
      ref={line}
      id={`room-${room.name}`}
      role="option"
      aria-selected={open}
      class={`room-line${open ? ' open' : ''}${active ? ' active' : ''}${unread > 0 ? ' unread' : ''}`}
      onClick={() => onPick(room.name)}
    >
      <span class="hash" aria-hidden="true">
        #
      </span>
      <span class="room-name" dir="auto">
        {room.name}
      </span>
      {unsent > 0 && (
        <span class="room-note" title={plural(unsent, 'message not sent yet', 'messages not sent yet')}>
          <Ring state={chat.ready ? 'turning' : 'waiting'} size={14} label={plural(unsent, 'unsent message', 'unsent messages')} />
        </span>
      )}
      {unsent === 0 && draft && (
        <span class="room-note" title="Draft">
          <Icon name="edit" />
          <span class="hidden">draft</span>
        </span>
      )}
      {unread > 0 && (
        <span class="count figures">
          {badge(unread)}
          <span class="hidden"> unread</span>
        </span>
      )}
    </div>
  );
}

/** One's own name, the connection, and the menu of what concerns oneself. */
function Self({ setOverlay }: { setOverlay: (next: Overlay) => void }) {
  const { chat, prefs } = useEnv();
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    box.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
    const away = (event: Event): void => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [open]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!open) return;
    const items = [...box.current!.querySelectorAll<HTMLElement>('[role="menuitem"]')];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (event.key === 'ArrowDown') items[(at + 1) % items.length]?.focus();
    else if (event.key === 'ArrowUp') items[(at - 1 + items.length) % items.length]?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') {
      setOpen(false);
      box.current!.querySelector<HTMLElement>('.self')?.focus();
    } else return;
    if (event.key !== 'Tab') event.preventDefault();
    event.stopPropagation();
  };
  const run = (action: () => void) => (): void => {
    setOpen(false);
    action();
  };
  const contrast = document.documentElement.dataset['contrast'] === 'more';
  return (
    <div class="self-box" ref={box} onKeyDown={onKeyDown}>
      {open && (
        <div class="menu" role="menu" aria-label="You and this page">
          <button role="menuitem" onClick={run(() => prefs.setTheme(prefs.dark ? 'light' : 'dark'))}>
            <Icon name="theme" />
            {prefs.dark ? 'Light theme' : 'Dark theme'}
          </button>
          <button role="menuitem" onClick={run(() => prefs.setContrast(contrast ? 'system' : 'more'))}>
            <Icon name="contrast" />
            {contrast ? 'Normal contrast' : 'High contrast'}
          </button>
          <button role="menuitem" onClick={run(() => setOverlay('help'))}>
            <Icon name="keys" />
            Keys
          </button>
          <button role="menuitem" onClick={run(() => confirmSignOut(chat))}>
            <Icon name="leave" />
            Leave as {chat.me?.name}
          </button>
        </div>
      )}
      <button class="self" aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Light chat={chat} size={22} />
        <span class="self-text">
          <span class="self-name" dir="auto">
            {chat.me?.name}
          </span>
          <span class="small muted">{connectionWords(chat)}</span>
        </span>
        <Icon name="more" />
      </button>
    </div>
  );
}

export function confirmSignOut(chat: ReturnType<typeof useEnv>['chat']): void {
  const unsent = chat.outbox.size;
  const loss = unsent > 0 ? ` ${plural(unsent, 'message is', 'messages are')} not sent yet.` : '';
  if (window.confirm(`Forget in this browser that you are ${chat.me?.name}? As a guest you can\u2019t come back as the same person.${loss}`)) chat.signOut();
}
