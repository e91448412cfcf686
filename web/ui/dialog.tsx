// SPDX-License-Identifier: Apache-2.0
//
// A modal dialog on the browser's own <dialog>: focus stays inside, Esc closes, focus returns.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

interface DialogProps {
  readonly label: string;
  readonly class?: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function Dialog({ label, class: extra = '', onClose, children }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current!;
    if (!dialog.open) dialog.showModal();
    // The browser gives focus back when it closes; doing it here too, a drawing later, would take
    // it from where the user went meanwhile.
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={box}
      class={`dialog ${extra}`}
      aria-label={label}
      onClose={onClose}
      onPointerDown={(event) => event.target === box.current && onClose()}
    >
      {children}
    </dialog>
  );
}
