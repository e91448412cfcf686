// SPDX-License-Identifier: Apache-2.0
//
// The first visit: a name, and in.

import { useEffect, useRef, useState } from 'preact/hooks';
import { Ring } from '@ui/ring';
import { useEnv } from './env';
import { connectionWords, Light } from './light';

const k_name_max = 32;

export function SignInPage() {
  const { chat } = useEnv();
  const [own_problem, setProblem] = useState('');
  const input = useRef<HTMLInputElement>(null);
  const asking = chat.sign_in.state === 'asking';
  const problem = own_problem || (chat.sign_in.state === 'needed' ? (chat.sign_in.problem ?? '') : '');
  const connected = chat.link.state === 'open';
  useEffect(() => {
    if (!asking) input.current?.focus();
  }, [asking]);

  const enter = (event: Event): void => {
    event.preventDefault();
    const name = input.current!.value.replace(/\s+/g, ' ').trim();
    const length = [...name].length;
    const max = chat.limits.name ?? k_name_max;
    if (name === '') setProblem('Type the name that others will see.');
    else if (length > max) setProblem(`A name has at most ${max} characters; this one has ${length}. Shorten it.`);
    else if (!connected) setProblem('Not connected yet. Try again in a moment.');
    else {
      setProblem('');
      chat.signInAs(name);
    }
  };
  return (
    <main class="entry">
      <div class="entry-card">
        <Ring state="mark" size={56} />
        <h1>Come in</h1>
        {chat.guests ? (
          <form onSubmit={enter} noValidate>
            <p class="muted">Choose the name others will see. There is no account: this browser remembers you.</p>
            <label class="field">
              <span>Your name</span>
              <input
                ref={input}
                class="input"
                name="name"
                autoComplete="nickname"
                spellcheck={false}
                dir="auto"
                placeholder="Ada"
                aria-invalid={problem !== ''}
                aria-describedby="entry-problem"
                onInput={() => setProblem('')}
              />
            </label>
            <p id="entry-problem" class="entry-problem" role="alert">
              {problem}
            </p>
            <button class="button button-main entry-go" disabled={asking}>
              {asking ? 'Entering\u2026' : 'Enter'}
            </button>
          </form>
        ) : (
          <p class="muted">This server takes no guests. Ask whoever runs it for an account.</p>
        )}
      </div>
      <p class="entry-foot small muted">
        <Light chat={chat} size={16} />
        <span>{connectionWords(chat)}</span>
      </p>
    </main>
  );
}
