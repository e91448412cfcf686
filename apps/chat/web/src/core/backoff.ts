// SPDX-License-Identifier: Apache-2.0
//
// How long to wait before the next try to connect: doubling up to a ceiling, half of it random, so
// that five thousand pages that lost the same server don't come back in the same instant.

export interface BackoffOptions {
  readonly base_ms: number;
  readonly cap_ms: number;
  readonly random: () => number;
}

export class Backoff {
  private tries_ = 0;
  private readonly options: BackoffOptions;

  constructor(options: Partial<BackoffOptions> = {}) {
    this.options = { base_ms: 500, cap_ms: 20_000, random: Math.random, ...options };
  }

  get tries(): number {
    return this.tries_;
  }

  next(): number {
    const { base_ms, cap_ms, random } = this.options;
    const full = Math.min(cap_ms, base_ms * 2 ** Math.min(this.tries_, 30));
    ++this.tries_;
    return Math.round(full / 2 + (full / 2) * random());
  }

  reset(): void {
    this.tries_ = 0;
  }
}
