// SPDX-License-Identifier: Apache-2.0
//
// The browser's storage behind a small interface. Writing may fail (private mode, quota): the page
// then goes on in memory and says so, because a message kept only in memory dies with the tab.

export interface KeyStore {
  keys(): string[];
  get(key: string): string | null;
  set(key: string, value: string): boolean;
  remove(key: string): void;
}

export class MemoryStore implements KeyStore {
  private readonly values = new Map<string, string>();

  keys(): string[] {
    return [...this.values.keys()];
  }
  get(key: string): string | null {
    return this.values.get(key) ?? null;
  }
  set(key: string, value: string): boolean {
    this.values.set(key, value);
    return true;
  }
  remove(key: string): void {
    this.values.delete(key);
  }
}

/** localStorage, with memory in front for what it refuses. */
export class BrowserStore implements KeyStore {
  private readonly overflow = new MemoryStore();

  constructor(private readonly storage: Storage | null) {}

  keys(): string[] {
    const kept = new Set(this.overflow.keys());
    try {
      for (let index = 0; index < (this.storage?.length ?? 0); ++index) kept.add(this.storage!.key(index)!);
    } catch {
      // Access can be withdrawn while the page runs; what is in memory still counts.
    }
    return [...kept];
  }

  get(key: string): string | null {
    const own = this.overflow.get(key);
    if (own !== null) return own;
    try {
      return this.storage?.getItem(key) ?? null;
    } catch {
      return null;
    }
  }

  set(key: string, value: string): boolean {
    try {
      if (this.storage) {
        this.storage.setItem(key, value);
        this.overflow.remove(key);
        return true;
      }
    } catch {
      // Falls through to memory.
    }
    this.overflow.set(key, value);
    return false;
  }

  remove(key: string): void {
    this.overflow.remove(key);
    try {
      this.storage?.removeItem(key);
    } catch {
      // Nothing to remove where nothing could be written.
    }
  }
}

export function openBrowserStore(): BrowserStore {
  try {
    return new BrowserStore(window.localStorage);
  } catch {
    return new BrowserStore(null);
  }
}
