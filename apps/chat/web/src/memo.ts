// SPDX-License-Identifier: Apache-2.0
//
// Skips drawing when no property changed. (Preact keeps its own in preact/compat, which is larger
// than this page needs.)

import { Component, createElement, type ComponentChildren, type FunctionComponent } from 'preact';

export function memo<P extends object>(draw: (props: P) => ComponentChildren): FunctionComponent<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const now = this.props as Record<string, unknown>;
      const then = next as Record<string, unknown>;
      for (const key in then) if (now[key] !== then[key]) return true;
      return false;
    }
    override render(): ComponentChildren {
      return createElement(draw as FunctionComponent<P>, this.props as P);
    }
  } as unknown as FunctionComponent<P>;
}
