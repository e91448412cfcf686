// SPDX-License-Identifier: Apache-2.0
//
// The unread count in the title and the mark: what one sees of this page while working elsewhere.

import type { Chat } from './core/chat';
import read_icon from './ring.svg';
import unread_icon from './ring-unread.svg';

export class Badge {
  private readonly link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  private shown = '';

  constructor(private readonly chat: Chat) {
    chat.subscribe(() => this.draw());
  }

  private draw(): void {
    const unread = this.chat.unreadTotal();
    const room = this.chat.current === '' ? 'Rondo' : `#${this.chat.current} \u00B7 Rondo`;
    const title = unread > 0 ? `(${unread > 999 ? '999+' : unread}) ${room}` : room;
    if (title === this.shown) return;
    this.shown = title;
    document.title = title;
    const icon = unread > 0 ? unread_icon : read_icon;
    if (this.link && !this.link.href.endsWith(icon)) this.link.href = icon;
  }
}
