// SPDX-License-Identifier: Apache-2.0

import { render } from 'preact';
import { App } from './app';
import { Badge } from './badge';
import { Chat } from './core/chat';
import type { SocketLike } from './core/connection';
import { openBrowserStore } from './core/store';
import { EnvContext } from './env';
import { Prefs } from './prefs';

const address = new URL('ws', document.baseURI);
address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
address.hash = '';

const store = openBrowserStore();
const prefs = new Prefs(store);
const chat = new Chat({ store, open: () => new WebSocket(address) as SocketLike });
new Badge(chat);

window.addEventListener('storage', (event) => {
  chat.storageChanged(event.key);
  prefs.apply();
});
for (const name of ['online', 'offline', 'focus'] as const) window.addEventListener(name, () => chat.link.retryNow());
document.addEventListener('visibilitychange', () => document.hidden || chat.link.retryNow());
window.addEventListener('pagehide', () => chat.sendReads());

chat.start();
const root = document.getElementById('app')!;
root.textContent = '';
render(
  <EnvContext.Provider value={{ chat, store, prefs }}>
    <App />
  </EnvContext.Provider>,
  root,
);
