// SPDX-License-Identifier: Apache-2.0

import { useEffect, useRef } from 'preact/hooks';
import { Face } from '@ui/face';
import { Icon } from '@ui/icons';
import type { Room } from './core/room';
import { useEnv } from './env';
import { count } from './words';

/** More lines than this nobody reads; a room of thousands must not fill the document. */
const k_members_shown_max = 200;

export function Members({ room, drawer, onClose }: { room: Room; drawer: boolean; onClose: () => void }) {
  const { chat } = useEnv();
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    if (drawer) box.current?.querySelector<HTMLElement>('button')?.focus();
  }, [drawer]);
  const me = chat.me?.id;
  const here = [...room.members.values()].sort((a, b) => a.name.localeCompare(b.name));
  return (
    <aside ref={box} class={`members${drawer ? ' drawer drawer-end' : ''}`} aria-label="People in this room">
      <div class="members-head">
        <h2>Here now</h2>
        <button class="icon-button" aria-label="Close people" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {drawer && room.topic !== '' && <p class="members-topic small muted">{room.topic}</p>}
      <ul class="members-list" tabIndex={0} aria-label="People here">
        {here.slice(0, k_members_shown_max).map((user) => (
          <li key={user.id} class={room.typing.has(user.id) ? 'typing' : ''}>
            <Face id={user.id} name={user.name} small />
            <span class="member-name" dir="auto">
              {user.name}
            </span>
            {user.id === me && <span class="small muted">you</span>}
            {room.typing.has(user.id) && <span class="small muted">typing</span>}
          </li>
        ))}
        {here.length > k_members_shown_max && <li class="small muted">and {count(here.length - k_members_shown_max)} more</li>}
      </ul>
      {!chat.ready && <p class="members-topic small muted">As of when the connection was lost.</p>}
    </aside>
  );
}
