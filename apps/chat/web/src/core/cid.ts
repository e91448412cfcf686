// SPDX-License-Identifier: Apache-2.0
//
// Client ids of messages: 128 bits, 48 of milliseconds and 80 random, written as 26 characters of
// Crockford's base 32 (the ULID layout). Ids made by one maker sort in the order they were made,
// also within one millisecond and when the clock steps back, so the outbox can sort by them.

const k_alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

export type RandomBytes = (count: number) => Uint8Array;

const browserBytes: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

function encode(value: bigint): string {
  let text = '';
  for (let digit = 0; digit < 26; ++digit) {
    text = k_alphabet[Number(value & 31n)]! + text;
    value >>= 5n;
  }
  return text;
}

function decode(cid: string): bigint {
  let value = 0n;
  for (const digit of cid) value = (value << 5n) | BigInt(Math.max(0, k_alphabet.indexOf(digit)));
  return value;
}

export class CidMaker {
  private last = 0n;

  constructor(
    private readonly now: () => number = Date.now,
    private readonly random: RandomBytes = browserBytes,
  ) {}

  /** Ids made from now on sort behind this one: what an outbox of an earlier visit still holds. */
  follow(cid: string): void {
    const value = decode(cid);
    if (value > this.last) this.last = value;
  }

  make(): string {
    let value = BigInt(this.now()) << 80n;
    for (const [index, byte] of this.random(10).entries()) value |= BigInt(byte) << BigInt(8 * (9 - index));
    // Two tabs share the outbox: the step is random too, so that they don't meet on the same id.
    if (value <= this.last) value = this.last + 1n + (value & 0xffffffffn);
    this.last = value;
    return encode(value);
  }
}
