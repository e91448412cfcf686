// SPDX-License-Identifier: Apache-2.0
//
// The frames of the chat protocol as they go over the wire: one JSON object a text frame, `t`
// names the kind. Unknown fields are ignored, an unknown kind from the server too.

export interface User {
  readonly id: string;
  readonly name: string;
}

/** One entry of a room's log. Kinds this page doesn't know still move the cursor. */
export interface RoomEvent {
  readonly room: string;
  readonly seq: number;
  readonly prev?: number;
  readonly kind: string;
  readonly from?: User;
  readonly cid?: string;
  readonly ts: number;
  readonly body?: string;
}

export interface RoomInfo {
  readonly room: string;
  readonly head: number;
  readonly read?: number;
  readonly topic?: string;
}

export interface Limits {
  readonly body?: number;
  readonly page?: number;
  readonly name?: number;
}

export type ServerFrame =
  | { t: 'hello'; epoch: string; node?: string; session?: string; limits?: Limits; caps?: string[] }
  | { t: 'welcome'; user: User; token?: string; rooms: RoomInfo[] }
  | { t: 'joined'; room: string; head: number; oldest?: number; read?: number; topic?: string; members?: User[] }
  | { t: 'left'; room: string }
  | { t: 'rooms'; rooms: RoomInfo[] }
  | { t: 'ack'; cid: string; room: string; seq: number; ts: number; dup?: boolean }
  | { t: 'nack'; cid: string; code: string; retry_after?: number; detail?: string }
  | ({ t: 'ev' } & RoomEvent)
  | { t: 'page'; room: string; from?: number; to?: number; events: RoomEvent[] }
  | { t: 'resumed'; room: string; seq: number }
  | { t: 'reset'; room: string; snapshot_seq: number; oldest: number }
  | { t: 'gone'; room: string }
  | { t: 'read'; room: string; seq: number }
  | { t: 'typing'; room: string; user: User }
  | { t: 'presence'; room: string; user: User; state: 'joined' | 'left' }
  | { t: 'pong' }
  | { t: 'error'; code: string; detail?: string; room?: string };

export type ClientFrame =
  | { t: 'auth'; guest: string }
  | { t: 'auth'; token: string }
  | { t: 'join'; room: string; create?: true }
  | { t: 'leave'; room: string }
  | { t: 'rooms' }
  | { t: 'send'; room: string; cid: string; body: string }
  | { t: 'resume'; epoch: string; cursors: Record<string, number> }
  | { t: 'history'; room: string; before: number; limit: number }
  | { t: 'sync'; room: string; after: number }
  | { t: 'read'; room: string; seq: number }
  | { t: 'typing'; room: string }
  | { t: 'ping' };

type Fields = Record<string, unknown>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const isUser = (value: unknown): boolean => isObject(value) && isText(value['id']) && isText(value['name']);

function isRoomEvent(value: unknown): boolean {
  if (!isObject(value) || !isCount(value['seq'])) return false;
  return value['from'] === undefined || value['from'] === null || isUser(value['from']);
}

const isRoomInfo = (value: unknown): boolean => isObject(value) && isText(value['room']) && isCount(value['head']);

/** What each kind needs to be usable; a frame that lacks it is dropped rather than half applied. */
const required: Record<ServerFrame['t'], (frame: Fields) => boolean> = {
  hello: (f) => isText(f['epoch']),
  welcome: (f) => isUser(f['user']) && Array.isArray(f['rooms']) && f['rooms'].every(isRoomInfo),
  joined: (f) => isText(f['room']) && isCount(f['head']),
  left: (f) => isText(f['room']),
  rooms: (f) => Array.isArray(f['rooms']) && f['rooms'].every(isRoomInfo),
  ack: (f) => isText(f['cid']) && isText(f['room']) && isCount(f['seq']),
  nack: (f) => isText(f['cid']) && isText(f['code']),
  ev: (f) => isText(f['room']) && isRoomEvent(f),
  page: (f) => isText(f['room']) && Array.isArray(f['events']) && f['events'].every(isRoomEvent),
  resumed: (f) => isText(f['room']) && isCount(f['seq']),
  reset: (f) => isText(f['room']) && isCount(f['snapshot_seq']),
  gone: (f) => isText(f['room']),
  read: (f) => isText(f['room']) && isCount(f['seq']),
  typing: (f) => isText(f['room']) && isUser(f['user']),
  presence: (f) => isText(f['room']) && isUser(f['user']) && isText(f['state']),
  pong: () => true,
  error: (f) => isText(f['code']),
};

/** Reads one text frame; null for anything that is no frame of a known kind. */
export function parseFrame(text: string): ServerFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || !isText(value['t'])) return null;
  const check = Object.hasOwn(required, value['t']) ? required[value['t'] as ServerFrame['t']] : undefined;
  if (check === undefined || !check(value)) return null;
  return value as unknown as ServerFrame;
}

export const byteLength = (text: string): number => new TextEncoder().encode(text).length;
