// SPDX-License-Identifier: Apache-2.0
//
// Ctrl/Cmd+K: rooms one is in, other public rooms, a new room by this name, and commands.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Dialog } from '@ui/dialog';
import { Icon, type IconName } from '@ui/icons';
import type { Overlay } from './app';
import { match, roomNameOf } from './core/find';
import { k_lobby } from './core/room';
import { useEnv, type Env } from './env';
import { confirmSignOut } from './rail';
import { badge } from './words';

interface Choice {
  readonly id: string;
  readonly group: 'Rooms' | 'More rooms' | 'Commands' | 'New';
  readonly icon: IconName | '#';
  readonly text: string;
  readonly note?: string;
  readonly unread?: number;
  readonly run: () => void;
}

interface SwitcherProps {
  readonly onClose: () => void;
  readonly setOverlay: (next: Overlay) => void;
  readonly onMembers: () => void;
}

const k_choices_max = 40;
/** Before anything is typed; the commands below should stay in view. */
const k_more_rooms_max = 6;

function choicesFor(query: string, { chat, prefs }: Env, { setOverlay, onMembers }: SwitcherProps): Choice[] {
  const me = chat.me?.id ?? '';
  const rooms: Choice[] = chat.roomList().map((room) => ({
    id: `r-${room.name}`, group: 'Rooms', icon: '#', text: room.name, unread: room.unread(me),
    ...(room.topic ? { note: room.topic } : {}), run: () => chat.open(room.name),
  }));
  const others: Choice[] = chat.directory
    .filter((info) => !chat.rooms.has(info.room))
    .map((info) => ({
      id: `d-${info.room}`, group: 'More rooms', icon: '#', text: info.room,
      ...(info.topic ? { note: info.topic } : {}), run: () => chat.join(info.room, false),
    }));
  const room = chat.room;
  const contrast = document.documentElement.dataset['contrast'] === 'more';
  const commands: Choice[] = [
    { id: 'c-read', group: 'Commands', icon: 'check', text: 'Mark all rooms read', run: () => [...chat.rooms.values()].forEach((one) => chat.markRead(one)) },
    { id: 'c-theme', group: 'Commands', icon: 'theme', text: prefs.dark ? 'Light theme' : 'Dark theme', run: () => prefs.setTheme(prefs.dark ? 'light' : 'dark') },
    { id: 'c-system', group: 'Commands', icon: 'theme', text: 'Theme of the system', run: () => prefs.setTheme('system') },
    { id: 'c-contrast', group: 'Commands', icon: 'contrast', text: contrast ? 'Normal contrast' : 'High contrast', run: () => prefs.setContrast(contrast ? 'system' : 'more') },
    { id: 'c-people', group: 'Commands', icon: 'people', text: 'Show or hide people', run: onMembers },
    { id: 'c-help', group: 'Commands', icon: 'keys', text: 'Keys', run: () => setOverlay('help') },
    { id: 'c-out', group: 'Commands', icon: 'leave', text: `Leave as ${chat.me?.name ?? ''}`, run: () => confirmSignOut(chat) },
  ];
  if (room && room.name !== k_lobby) commands.unshift({ id: 'c-leave', group: 'Commands', icon: 'leave', text: `Leave room #${room.name}`, run: () => chat.leave(room.name) });
  const more = query.trim() === '' ? others.slice(0, k_more_rooms_max) : match(query, others);
  const found = [...match(query, rooms), ...more, ...match(query, commands)].slice(0, k_choices_max);
  const name = roomNameOf(query);
  const exists = [...rooms, ...others].some((choice) => choice.text === name);
  if (name !== '' && !exists) found.push({ id: 'new', group: 'New', icon: 'plus', text: `Create room #${name}`, run: () => chat.join(name, true) });
  return found;
}

export function Switcher(props: SwitcherProps) {
  const env = useEnv();
  const { chat } = env;
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => chat.askDirectory(), []);
  const choices = choicesFor(query, env, props);
  const active = Math.min(at, choices.length - 1);
  const groups = useMemo(() => groupUp(choices), [choices]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [active, query]);

  const run = (choice: Choice | undefined): void => {
    if (!choice) return;
    props.onClose();
    choice.run();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.isComposing) return;
    if (event.key === 'ArrowDown') setAt((active + 1) % Math.max(1, choices.length));
    else if (event.key === 'ArrowUp') setAt((active - 1 + choices.length) % Math.max(1, choices.length));
    else if (event.key === 'Enter') run(choices[active]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog label="Find a room or do something" class="switcher" onClose={props.onClose}>
      <div class="switcher-field">
        <Icon name="find" />
        <input
          autoFocus
          role="combobox"
          aria-label="Find a room or do something"
          aria-expanded="true"
          aria-controls="switcher-list"
          aria-activedescendant={choices[active] ? `choice-${choices[active].id}` : undefined}
          placeholder="Room or command"
          autoComplete="off"
          spellcheck={false}
          dir="auto"
          value={query}
          onInput={(event) => {
            setQuery(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
        <span class="kbd" aria-hidden="true">
          Esc
        </span>
      </div>
      <div id="switcher-list" class="switcher-list" role="listbox" aria-label="Choices" tabIndex={-1} ref={list}>
        {groups.map(([group, members]) => (
          <div role="group" aria-label={group} key={group}>
            <div class="switcher-group small muted" aria-hidden="true">
              {group}
            </div>
            {members.map((choice) => (
              <div
                key={choice.id}
                id={`choice-${choice.id}`}
                role="option"
                aria-selected={choice === choices[active]}
                class="choice"
                onPointerMove={() => setAt(choices.indexOf(choice))}
                onClick={() => run(choice)}
              >
                {choice.icon === '#' ? <span class="hash">#</span> : <Icon name={choice.icon} />}
                <span class="choice-text" dir="auto">
                  {choice.text}
                </span>
                {choice.note && <span class="choice-note small muted">{choice.note}</span>}
                {(choice.unread ?? 0) > 0 && <span class="count figures">{badge(choice.unread!)}</span>}
              </div>
            ))}
          </div>
        ))}
      </div>
      {choices.length === 0 && <p class="switcher-none muted">Nothing of that name. A room’s name has 1 to 64 letters, digits, dots, dashes and underscores.</p>}
    </Dialog>
  );
}

function groupUp(choices: readonly Choice[]): [string, Choice[]][] {
  const groups = new Map<string, Choice[]>();
  for (const choice of choices) groups.set(choice.group, [...(groups.get(choice.group) ?? []), choice]);
  return [...groups];
}
