// SPDX-License-Identifier: Apache-2.0
//
// How the page looks in this browser: theme and contrast, chosen or as the system says.

import type { KeyStore } from './core/store';

export type Theme = 'system' | 'light' | 'dark';
export type Contrast = 'system' | 'more';

const k_theme = 'rondo.theme';
const k_contrast = 'rondo.contrast';
const k_members = 'rondo.members';

export class Prefs {
  private readonly system_contrast = window.matchMedia('(prefers-contrast: more)');
  private readonly system_dark = window.matchMedia('(prefers-color-scheme: dark)');

  constructor(private readonly store: KeyStore) {
    this.system_contrast.addEventListener('change', () => this.apply());
    this.apply();
  }

  get theme(): Theme {
    const value = this.store.get(k_theme);
    return value === 'light' || value === 'dark' ? value : 'system';
  }

  get contrast(): Contrast {
    return this.store.get(k_contrast) === 'more' ? 'more' : 'system';
  }

  get dark(): boolean {
    return this.theme === 'dark' || (this.theme === 'system' && this.system_dark.matches);
  }

  get members(): boolean {
    return this.store.get(k_members) !== 'closed';
  }

  set members(open: boolean) {
    this.store.set(k_members, open ? 'open' : 'closed');
  }

  setTheme(theme: Theme): void {
    this.store.set(k_theme, theme);
    this.apply();
  }

  setContrast(contrast: Contrast): void {
    this.store.set(k_contrast, contrast);
    this.apply();
  }

  apply(): void {
    const root = document.documentElement;
    if (this.theme === 'system') delete root.dataset['theme'];
    else root.dataset['theme'] = this.theme;
    const more = this.contrast === 'more' || this.system_contrast.matches;
    if (more) root.dataset['contrast'] = 'more';
    else delete root.dataset['contrast'];
  }
}
