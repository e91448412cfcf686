// SPDX-License-Identifier: Apache-2.0
//
// One room: header, banner, messages, composer.

import { useEffect, useImperativeHandle, useRef, useState } from 'preact/hooks';
import type { MutableRef } from 'preact/hooks';
import { Icon } from '@ui/icons';
import { Ring } from '@ui/ring';
import type { ListHandle } from '@ui/list';
import { Banner } from './banner';
import { Composer, type ComposerHandle } from './composer';
import type { Room } from './core/room';
import { useEnv } from './env';
import { Messages } from './messages';
import { count, typingText } from './words';

export interface RoomHandle {
  focus(): void;
  toEnd(): void;
}

interface RoomViewProps {
  readonly room: Room;
  readonly narrow: boolean;
  readonly members_open: boolean;
  readonly handle: MutableRef<RoomHandle | null>;
  readonly onMenu: () => void;
  readonly onMembers: () => void;
  readonly onFind: () => void;
}

export function RoomView(props: RoomViewProps) {
  const { room, handle } = props;
  const list = useRef<ListHandle>(null);
  const composer = useRef<ComposerHandle>(null);
  useImperativeHandle(handle, () => ({ focus: () => composer.current?.focus(), toEnd: () => list.current?.toEnd() }), []);
  return (
    <>
      <Header {...props} />
      <Banner />
      {room.timeline ? <Messages room={room} list={list} onEdit={(body) => composer.current?.take(body)} /> : <Loading />}
      <Typing room={room} />
      {room.gone ? <Gone room={room} /> : <Composer room={room} handle={composer} list={list} />}
    </>
  );
}

function MenuButton({ onMenu, room }: { onMenu: () => void; room: string }) {
  const { chat } = useEnv();
  const me = chat.me?.id ?? '';
  const elsewhere = [...chat.rooms.values()].some((other) => other.name !== room && other.unread(me) > 0);
  return (
    <button class="icon-button" aria-label={elsewhere ? 'Rooms, unread messages' : 'Rooms'} onClick={onMenu}>
      <Icon name="menu" />
      {elsewhere && <span class="dot" />}
    </button>
  );
}

function Header({ room, narrow, members_open, onMenu, onMembers, onFind }: RoomViewProps) {
  const here = room.members.size;
  return (
    <header class="head">
      {narrow && <MenuButton onMenu={onMenu} room={room.name} />}
      <h1 class="head-name" dir="auto">
        <span class="hash" aria-hidden="true">
          #
        </span>
        {room.name}
      </h1>
      <p class="head-topic small muted">{room.topic}</p>
      {narrow && (
        <button class="icon-button" aria-label="Find a room or do something" onClick={onFind}>
          <Icon name="find" />
        </button>
      )}
      <button class="head-here" aria-expanded={members_open} aria-label={`People: ${count(here)} here`} onClick={onMembers}>
        <Icon name="people" />
        <span class="figures">{here > 0 ? `${count(here)} here` : ''}</span>
      </button>
    </header>
  );
}

function Typing({ room }: { room: Room }) {
  const names = [...room.typing.values()].map((typist) => typist.user.name);
  return (
    <p class="typing-line small muted" dir="auto">
      {names.length > 0 && (
        <>
          <span class="typing-dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {typingText(names)}
        </>
      )}
    </p>
  );
}

function Loading() {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), 4000);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="wait-room" role="status">
      <Ring state="turning" size={28} />
      <span class="small muted">{slow ? 'Still loading. The server takes its time.' : 'Loading\u2026'}</span>
    </div>
  );
}

function Gone({ room }: { room: Room }) {
  const { chat } = useEnv();
  return (
    <div class="gone" role="status">
      <p>
        <strong>#{room.name} is no longer open to you.</strong> It was deleted, or you were taken out of it. You can read what is here until you leave.
      </p>
      <button class="button" onClick={() => chat.leave(room.name)}>
        Leave room
      </button>
    </div>
  );
}

export function NoRoom({ narrow, onMenu, onFind }: { narrow: boolean; onMenu: () => void; onFind: () => void }) {
  const { chat } = useEnv();
  return (
    <>
      <header class="head">
        {narrow && <MenuButton onMenu={onMenu} room="" />}
        <h1 class="head-name">Rondo</h1>
      </header>
      <Banner />
      <div class="wait-room">
        <Ring state="mark" size={48} />
        <h2>No room yet</h2>
        <p class="muted">Find one that is there, or make one.</p>
        <button class="button button-main" disabled={!chat.ready} onClick={onFind}>
          Find or create a room
        </button>
      </div>
    </>
  );
}
