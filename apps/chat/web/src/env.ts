// SPDX-License-Identifier: Apache-2.0
//
// What the components share: the session, the storage, and drawing again when the session changes.

import { createContext } from 'preact';
import { useContext, useEffect, useLayoutEffect, useReducer } from 'preact/hooks';
import type { Chat } from './core/chat';
import type { KeyStore } from './core/store';
import type { Prefs } from './prefs';

export interface Env {
  readonly chat: Chat;
  readonly store: KeyStore;
  readonly prefs: Prefs;
}

export const EnvContext = createContext<Env>(null as unknown as Env);
export const useEnv = (): Env => useContext(EnvContext);

/**
 * Draws the component again after changes of the session: at most once per frame, however many
 * events a second come in. What the user's own keys change is drawn at once, not here.
 */
export function useChanges(chat: Chat): void {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const drawn = chat.version;
  useLayoutEffect(() => {
    // Between drawing and subscribing the session may have moved on.
    if (chat.version !== drawn) redraw(0);
    let queued = false;
    const draw = (): void => {
      queued = false;
      redraw(0);
    };
    return chat.subscribe(() => {
      if (queued) return;
      queued = true;
      // Hidden tabs get no frames.
      if (document.hidden) setTimeout(draw, 100);
      else requestAnimationFrame(draw);
    });
  }, [chat]);
}

export function useMedia(query: string): boolean {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const list = window.matchMedia(query);
    const changed = (): void => redraw(0);
    list.addEventListener('change', changed);
    return () => list.removeEventListener('change', changed);
  }, [query]);
  return window.matchMedia(query).matches;
}
