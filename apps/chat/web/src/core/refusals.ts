// SPDX-License-Identifier: Apache-2.0
//
// What the server's refusals mean, and the words for them.

/** Refusals of things nobody waits for: typing, reading, a question that is asked again. */
export const k_worth_no_word = new Set(['rate_limited', 'not_a_member', 'busy', 'unavailable']);
/** After these the token is worth nothing. */
export const k_token_refused = new Set(['bad_token', 'invalid_token', 'unauthorized', 'unauthenticated', 'auth_failed', 'auth', 'forbidden']);

export function signInProblem(code: string, detail: string | undefined): string {
  switch (code) {
    case 'name_taken':
      return 'Somebody here has this name already. Choose another one.';
    case 'bad_name':
      return detail ?? 'The server doesn\u2019t take this name. Use letters, digits and spaces.';
    case 'guests_off':
    case 'forbidden':
      return 'This server takes no guests. Ask whoever runs it for an account.';
    case 'rate_limited':
    case 'busy':
    case 'unavailable':
      return 'The server is busy. Wait a moment, then try again.';
    default:
      return detail ?? `The server refused this (${code}).`;
  }
}

export function joinProblem(room: string, code: string, detail: string | undefined): string {
  switch (code) {
    case 'no_such_room':
    case 'not_found':
      return `There is no room #${room}.`;
    case 'bad_room':
    case 'bad_name':
      return detail ?? `#${room} can\u2019t be the name of a room.`;
    case 'forbidden':
    case 'banned':
      return `You may not enter #${room}.`;
    case 'too_many_rooms':
      return `You are in as many rooms as the server allows. Leave one to enter #${room}.`;
    default:
      return `#${room} could not be joined: ${detail ?? code}.`;
  }
}
