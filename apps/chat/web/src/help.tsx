// SPDX-License-Identifier: Apache-2.0

import { Dialog } from '@ui/dialog';
import { Icon } from '@ui/icons';
import { shortcut } from './rail';

const keys: readonly (readonly [string, string])[] = [
  [shortcut, 'Find a room or do something'],
  ['Enter', 'Send'],
  ['Shift Enter', 'New line'],
  ['Esc', 'Everything here is read; back to now'],
  ['Alt \u2191  Alt \u2193', 'Room before, room after'],
  ['PgUp  PgDn', 'Scroll the messages while writing'],
  ['\u2191  \u2193  Enter', 'Choose in lists'],
  ['?  or  Ctrl /', 'This list'],
];

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog label="Keys" class="help" onClose={onClose}>
      <div class="dialog-head">
        <h2>Keys</h2>
        <button class="icon-button" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <dl class="keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split('  ').map((part) => (part === 'or' ? ' or ' : <span class="kbd">{part}</span>))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="help-text small muted">
        <p>
          <code>`code`</code> between backticks, blocks between lines of three. Web addresses become links.
        </p>
        <p>A message stays in this browser until the server has stored it. It is sent once, whatever happens to the connection.</p>
      </div>
    </Dialog>
  );
}
