// SPDX-License-Identifier: Apache-2.0
//
// Where one writes: grows to eight lines, keeps a draft per room, says when a text is too long.

import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { MutableRef } from 'preact/hooks';
import { Icon } from '@ui/icons';
import type { ListHandle } from '@ui/list';
import { byteLength } from './core/protocol';
import type { Room } from './core/room';
import { useEnv } from './env';
import { sizeOf } from './words';

export interface ComposerHandle {
  focus(): void;
  take(body: string): void;
}

interface ComposerProps {
  readonly room: Room;
  readonly handle: MutableRef<ComposerHandle | null>;
  readonly list: MutableRef<ListHandle | null>;
}

const k_lines_max = 8;
const k_line_px = 22;
/** From this share of the limit on the size is shown. */
const k_near_limit = 0.8;

function grow(area: HTMLTextAreaElement): void {
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight, k_lines_max * k_line_px + 20)}px`;
}

export function Composer({ room, handle, list }: ComposerProps) {
  const { chat, store } = useEnv();
  const area = useRef<HTMLTextAreaElement>(null);
  const [bytes, setBytes] = useState(0);
  const [problem, setProblem] = useState('');
  const draft_key = `rondo.draft.${room.name}`;
  const max = chat.limits.body ?? 16_384;

  const changed = (): void => {
    const text = area.current!.value;
    grow(area.current!);
    // Every character is at most three bytes of UTF-8 per unit: short texts needn't be encoded.
    setBytes(text.length * 3 < max * k_near_limit ? text.length : byteLength(text));
    setProblem('');
  };
  const put = (text: string): void => {
    area.current!.value = text;
    if (text === '') store.remove(draft_key);
    else store.set(draft_key, text);
    changed();
  };
  useLayoutEffect(() => put(store.get(draft_key) ?? ''), []);
  useEffect(() => {
    // On a touch screen focus would open the keyboard over what one wants to read.
    if (window.matchMedia('(pointer: fine)').matches) area.current!.focus({ preventScroll: true });
  }, []);
  useImperativeHandle(handle, () => ({
    focus: () => area.current?.focus({ preventScroll: true }),
    take: (body) => {
      const now = area.current!.value;
      put(now.trim() === '' ? body : `${body}\n${now}`);
      area.current!.focus();
    },
  }), []);

  const send = (): void => {
    const body = area.current!.value.replace(/^\s*\n/, '').trimEnd();
    if (body.trim() === '') return;
    const refused = chat.send(room, body);
    if (refused?.code === 'too_large') {
      setBytes(refused.bytes);
      return setProblem(`Too long by ${sizeOf(refused.bytes - refused.max)}. Shorten it, or send it in parts.`);
    }
    if (refused) return setProblem(`${refused.max} messages are waiting already. Nothing more is taken until they are sent.`);
    put('');
    list.current?.toEnd();
    area.current!.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) send();
    else if ((event.key === 'PageUp' || event.key === 'PageDown') && !event.shiftKey) {
      list.current?.by((event.key === 'PageUp' ? -0.85 : 0.85) * list.current.view());
    } else return;
    event.preventDefault();
  };
  const over = bytes > max;
  const near = bytes > max * k_near_limit;
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div class={`composer-box${over ? ' over' : ''}`}>
        <textarea
          ref={area}
          rows={1}
          dir="auto"
          aria-label={`Message #${room.name}`}
          aria-describedby="composer-note"
          placeholder={`Message #${room.name}`}
          enterkeyhint="send"
          onInput={(event) => {
            put(event.currentTarget.value);
            if (event.currentTarget.value.trim() !== '') chat.typing(room);
          }}
          onKeyDown={onKeyDown}
        />
        <button class="send" aria-label="Send" title="Send (Enter)" disabled={bytes === 0}>
          <Icon name="send" />
        </button>
      </div>
      <p id="composer-note" class={`composer-note small${over || problem ? ' bad' : ' muted'}`} role={problem ? 'alert' : undefined}>
        {problem !== '' ? problem : over ? `${sizeOf(bytes)} of ${sizeOf(max)}. Too long to send.` : near ? `${sizeOf(bytes)} of ${sizeOf(max)}` : <Hint />}
      </p>
    </form>
  );
}

function Hint() {
  return (
    <span class="hint">
      <b>Enter</b> sends, <b>Shift Enter</b> makes a new line
    </span>
  );
}
