// SPDX-License-Identifier: Apache-2.0
//
// The frame of the page: which of the states it is in, the three columns, and the keys that work
// everywhere.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Ring } from '@ui/ring';
import { useChanges, useEnv, useMedia } from './env';
import { Help } from './help';
import { Members } from './members';
import { Rail } from './rail';
import { NoRoom, RoomView, type RoomHandle } from './roomview';
import { SignInPage } from './signin';
import { Switcher } from './switcher';
import { Toasts } from './toasts';

export type Overlay = 'none' | 'switcher' | 'help' | 'rail' | 'members';

export function App() {
  const { chat } = useEnv();
  useChanges(chat);
  if (chat.sign_in.state === 'needed' || chat.sign_in.state === 'asking') return <SignInPage />;
  if (!chat.settled) return <Waiting />;
  return <Main />;
}

/** The first connection: nothing to show yet. */
function Waiting() {
  const { chat } = useEnv();
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), 5000);
    return () => clearTimeout(timer);
  }, []);
  const failed = chat.link.tries > 1;
  return (
    <main class="wait">
      <h1 class="hidden">Rondo</h1>
      <Ring state="turning" size={40} />
      <p class="muted" role="status">
        {failed ? 'The server can\u2019t be reached. Trying again\u2026' : slow ? 'Still connecting. This takes longer than usual.' : 'Connecting\u2026'}
      </p>
      {failed && (
        <button class="button" onClick={() => chat.link.retryNow()}>
          Try now
        </button>
      )}
    </main>
  );
}

function roomOfHash(): string {
  try {
    return decodeURIComponent(location.hash.replace(/^#\/?/, ''));
  } catch {
    return '';
  }
}

/** The address names the room: links to rooms work, and so does going back. */
function useAddress(): void {
  const { chat, store } = useEnv();
  const asked = useRef(false);
  useEffect(() => {
    const follow = (): void => {
      const name = roomOfHash();
      if (name !== '' && name !== chat.current) chat.rooms.has(name) ? chat.open(name) : chat.join(name, false);
    };
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }, [chat]);
  useEffect(() => {
    if (chat.current === '' && chat.rooms.size > 0) {
      const wanted = [roomOfHash(), store.get('rondo.room') ?? '', 'lobby'].find((name) => chat.rooms.has(name));
      const linked = roomOfHash();
      chat.open(wanted ?? chat.roomList()[0]!.name);
      if (linked !== '' && linked !== chat.current && !asked.current) chat.join(linked, false);
      asked.current = true;
    }
  });
  useEffect(() => {
    if (chat.current === '') return;
    store.set('rondo.room', chat.current);
    const hash = `#${encodeURIComponent(chat.current)}`;
    if (location.hash === hash) return;
    if (location.hash === '') history.replaceState(null, '', hash);
    else history.pushState(null, '', hash);
  }, [chat.current]);
}

function stepRoom(chat: ReturnType<typeof useEnv>['chat'], step: number): void {
  const rooms = chat.roomList();
  const at = rooms.findIndex((room) => room.name === chat.current);
  const next = rooms[(at + step + rooms.length) % rooms.length];
  if (next) chat.open(next.name);
}

const inText = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || target.tagName === 'INPUT' || target.tagName === 'TEXTAREA');

function useKeys(overlay: Overlay, setOverlay: (next: Overlay) => void, view: { current: RoomHandle | null }): void {
  const { chat } = useEnv();
  // Before the next key: an effect after the frame would see the overlay of before.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const command = event.ctrlKey || event.metaKey;
      const modal = overlay === 'switcher' || overlay === 'help';
      if (command && !event.altKey && event.key.toLowerCase() === 'k') setOverlay(overlay === 'switcher' ? 'none' : 'switcher');
      else if (command && event.key === '/') setOverlay(overlay === 'help' ? 'none' : 'help');
      else if (modal || event.isComposing) return;
      else if (event.key === 'Escape') {
        if (overlay !== 'none') setOverlay('none');
        else if (chat.room) {
          chat.markRead(chat.room);
          view.current?.toEnd();
          view.current?.focus();
        }
      } else if (event.altKey && !command && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) stepRoom(chat, event.key === 'ArrowUp' ? -1 : 1);
      else if (command || event.altKey || inText(event.target)) return;
      else if (event.key === '?') setOverlay('help');
      else {
        // A letter typed anywhere but in a list belongs to the message; the browser puts it there.
        const control = event.target instanceof Element && event.target.closest('button, a, [role="listbox"], [role="menu"]');
        if (!control && event.key.length === 1 && event.key !== ' ') view.current?.focus();
        return;
      }
      event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [overlay]);
}

function Main() {
  const { chat, prefs } = useEnv();
  const [overlay, setOverlay] = useState<Overlay>('none');
  const wide = useMedia('(min-width: 1080px)');
  const narrow = useMedia('(max-width: 719.9px)');
  const [members_column, setMembersColumn] = useState(prefs.members);
  const view = useRef<RoomHandle>(null);
  useAddress();
  useKeys(overlay, setOverlay, view);
  useEffect(() => {
    if (narrow) return;
    setOverlay((now) => (now === 'rail' ? 'none' : now));
  }, [narrow]);
  useEffect(() => setOverlay((now) => (now === 'rail' ? 'none' : now)), [chat.current]);

  const members_open = wide ? members_column : overlay === 'members';
  const toggleMembers = (): void => {
    if (!wide) return setOverlay(overlay === 'members' ? 'none' : 'members');
    prefs.members = !members_column;
    setMembersColumn(!members_column);
  };
  // A dialog that closes late must not close the one that was opened from it.
  const close = (which: Overlay): void => setOverlay((now) => (now === which ? 'none' : now));
  const room = chat.room;
  const drawer = (narrow && overlay === 'rail') || (!wide && overlay === 'members');
  return (
    <div class={`frame${members_open && wide ? ' frame-members' : ''}`}>
      <Rail open={!narrow || overlay === 'rail'} drawer={narrow} setOverlay={setOverlay} />
      <main class="room" inert={drawer}>
        {room ? (
          <RoomView
            key={room.name}
            room={room}
            narrow={narrow}
            handle={view}
            members_open={members_open}
            onMenu={() => setOverlay('rail')}
            onMembers={toggleMembers}
            onFind={() => setOverlay('switcher')}
          />
        ) : (
          <NoRoom narrow={narrow} onMenu={() => setOverlay('rail')} onFind={() => setOverlay('switcher')} />
        )}
      </main>
      {members_open && room && <Members room={room} drawer={!wide} onClose={toggleMembers} />}
      {drawer && <div class="veil" onClick={() => setOverlay('none')} />}
      {overlay === 'switcher' && <Switcher onClose={() => close('switcher')} setOverlay={setOverlay} onMembers={toggleMembers} />}
      {overlay === 'help' && <Help onClose={() => close('help')} />}
      <Toasts />
    </div>
  );
}
