// SPDX-License-Identifier: Apache-2.0

import { useEffect } from 'preact/hooks';
import { Icon } from '@ui/icons';
import type { Notice } from './core/chat';
import { useEnv } from './env';

const k_stays_ms = 8000;

export function Toasts() {
  const { chat } = useEnv();
  return (
    <div class="toasts" role="status">
      {chat.notices.map((notice) => (
        <Toast key={notice.id} notice={notice} />
      ))}
    </div>
  );
}

function Toast({ notice }: { notice: Notice }) {
  const { chat } = useEnv();
  useEffect(() => {
    const timer = setTimeout(() => chat.dismiss(notice.id), k_stays_ms);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="toast">
      <span>{notice.text}</span>
      <button class="icon-button" aria-label="Dismiss" onClick={() => chat.dismiss(notice.id)}>
        <Icon name="close" />
      </button>
    </div>
  );
}
