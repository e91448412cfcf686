// SPDX-License-Identifier: Apache-2.0
//
// One WebSocket at a time, opened again with growing pauses for as long as the page lives.
//
//   idle -> connecting -> open -> waiting -> connecting ...      stop() leads to idle from anywhere
//
// "open" means that frames arrive: the server's hello has been read. A silent connection is asked
// with a ping and given up when nothing at all comes back, since a lost network tells nobody.
// `navigator.onLine` is only a hint to look again: the server may well be on this machine.

import { Backoff } from './backoff';
import { parseFrame, type ClientFrame, type ServerFrame } from './protocol';

export type LinkState = 'idle' | 'connecting' | 'open' | 'waiting';

/** The part of WebSocket that is used; tests give another one. */
export interface SocketLike {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

export interface ConnectionOptions {
  readonly open: () => SocketLike;
  readonly onFrame: (frame: ServerFrame) => void;
  readonly onState: (state: LinkState) => void;
  readonly backoff?: Backoff;
  readonly ping_ms?: number;
  readonly answer_ms?: number;
  readonly connect_ms?: number;
}

/** A connection that lasted this long was a good one: the next pause starts small again. */
const k_good_ms = 10_000;
const k_socket_open = 1;

export class Connection {
  state: LinkState = 'idle';
  /** When the next try starts, while waiting. */
  retry_at = 0;
  private socket: SocketLike | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setTimeout> | undefined;
  private opened_at = 0;
  private heard_at = 0;
  private readonly backoff: Backoff;

  constructor(private readonly options: ConnectionOptions) {
    this.backoff = options.backoff ?? new Backoff();
  }

  get tries(): number {
    return this.backoff.tries;
  }

  start(): void {
    if (this.state === 'idle') this.connect();
  }

  stop(): void {
    this.drop();
    this.enter('idle');
  }

  /** The user, the network or the tab says that now is a good moment. */
  retryNow(): void {
    if (this.state === 'waiting') this.connect();
    else if (this.state === 'open') this.probe();
  }

  /** Closes and opens again at once: another identity, or a session in disorder. */
  restart(): void {
    if (this.state === 'idle') return;
    this.drop();
    this.connect();
  }

  /** The server answers but can't serve now: close, and try again after the usual pause. */
  giveUp(): void {
    if (this.state === 'open') this.lost();
  }

  send(frame: ClientFrame): boolean {
    // A socket that is closing takes frames and drops them, long before it says so.
    if (this.state !== 'open' || this.socket?.readyState !== k_socket_open) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  private connect(): void {
    this.drop();
    this.enter('connecting');
    let socket: SocketLike;
    try {
      socket = this.options.open();
    } catch {
      this.lost();
      return;
    }
    this.socket = socket;
    const mine = (): boolean => this.socket === socket;
    socket.onmessage = (event) => {
      if (mine() && typeof event.data === 'string') this.receive(event.data);
    };
    socket.onclose = () => {
      if (mine()) this.lost();
    };
    socket.onerror = () => {};
    // A handshake can hang for minutes behind a dead network.
    this.watch = setTimeout(() => mine() && this.lost(), this.options.connect_ms ?? 12_000);
  }

  private receive(text: string): void {
    this.heard_at = Date.now();
    if (this.state === 'connecting') {
      this.opened_at = this.heard_at;
      this.enter('open');
      this.watchSilence();
    }
    const frame = parseFrame(text);
    if (frame) this.options.onFrame(frame);
  }

  private watchSilence(): void {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.probe(), this.options.ping_ms ?? 20_000);
  }

  /** Asks for a sign of life; none in time means that the connection is dead. */
  private probe(): void {
    const asked_at = Date.now();
    clearTimeout(this.watch);
    this.send({ t: 'ping' });
    this.watch = setTimeout(() => {
      if (this.heard_at >= asked_at) this.watchSilence();
      else this.lost();
    }, this.options.answer_ms ?? 8_000);
  }

  private lost(): void {
    const lasted = this.opened_at > 0 ? Date.now() - this.opened_at : 0;
    if (lasted >= k_good_ms) this.backoff.reset();
    this.drop();
    const pause = this.backoff.next();
    this.retry_at = Date.now() + pause;
    this.timer = setTimeout(() => this.connect(), pause);
    this.enter('waiting');
  }

  private drop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.watch);
    this.opened_at = 0;
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close();
    } catch {
      // A socket that never opened has nothing to close.
    }
  }

  private enter(state: LinkState): void {
    if (this.state === state) return;
    this.state = state;
    this.options.onState(state);
  }
}
