// SPDX-License-Identifier: Apache-2.0
//
// The icons of all pages: 20 by 20, one stroke. They are decoration; the button has the label.

const paths = {
  menu: 'M3 5.5h14M3 10h14M3 14.5h9',
  find: 'M9 15a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM13.5 13.5 17 17',
  people: 'M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 16.5c.5-3 2.7-4.5 5.5-4.5s5 1.5 5.5 4.5M13.5 4a2.7 2.7 0 0 1 0 5.2M15.3 12.5c1.5.7 2.4 2 2.7 4',
  close: 'M5 5l10 10M15 5 5 15',
  send: 'M10 16V4.5M5 9.2 10 4.2l5 5',
  down: 'M10 4v11.5M5 10.8l5 5 5-5',
  plus: 'M10 4v12M4 10h12',
  more: 'M4.5 10h.01M10 10h.01M15.5 10h.01',
  alert: 'M10 3 2.5 16.5h15zM10 8v4M10 14.3h.01',
  again: 'M16 10a6 6 0 1 1-1.8-4.2M16.3 3v3.3H13',
  theme: 'M16.5 12A7 7 0 0 1 8 3.5a7 7 0 1 0 8.5 8.5z',
  contrast: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 3v14M10 6l5.7 0M10 10h7M10 14h5.7',
  keys: 'M2.5 5h15v10h-15zM5.5 8h.01M8.5 8h.01M11.5 8h.01M14.5 8h.01M6.5 12h7',
  leave: 'M8 3.5H4v13h4M8 10h9M14 7l3 3-3 3',
  check: 'M4 10.5 8 14.5 16 5.5',
  edit: 'M4 16l.8-3.3L13.5 4 16 6.5 7.3 15.2z',
  trash: 'M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.7 11h7.6l.7-11',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}
