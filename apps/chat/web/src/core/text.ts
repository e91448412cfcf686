// SPDX-License-Identifier: Apache-2.0
//
// Splits a message body into what the page draws: text, links (http and https only), `code` and
// fenced blocks. It yields data for text nodes; nothing of a message ever becomes HTML.

export type Span =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'code'; readonly text: string }
  | { readonly type: 'link'; readonly text: string; readonly href: string };

export type Block =
  | { readonly type: 'paragraph'; readonly spans: readonly Span[] }
  | { readonly type: 'pre'; readonly text: string; readonly lang: string };

const k_fence = /^[ \t]*```([\w+#.-]*)[ \t]*\n([\s\S]*?)\n?[ \t]*```[ \t]*$/gm;
const k_inline = /`([^`\n]+)`|https?:\/\/[^\s<>"`]+/gi;

export function parseBody(body: string): Block[] {
  const blocks: Block[] = [];
  const text = body.replace(/\r\n?/g, '\n');
  let end = 0;
  for (const match of text.matchAll(k_fence)) {
    pushParagraph(blocks, text.slice(end, match.index));
    blocks.push({ type: 'pre', lang: match[1] ?? '', text: match[2] ?? '' });
    end = match.index + match[0].length;
  }
  pushParagraph(blocks, text.slice(end));
  return blocks;
}

function pushParagraph(blocks: Block[], text: string): void {
  const trimmed = text.replace(/^\n+|\n+$/g, '');
  if (trimmed !== '') blocks.push({ type: 'paragraph', spans: parseSpans(trimmed) });
}

export function parseSpans(text: string): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(k_inline)) {
    const code = match[1];
    const raw = code === undefined ? trimLink(match[0]) : match[0];
    const href = code === undefined ? safeHref(raw) : null;
    if (code === undefined && href === null) continue;
    if (match.index > end) spans.push({ type: 'text', text: text.slice(end, match.index) });
    if (href !== null) spans.push({ type: 'link', text: raw, href });
    else spans.push({ type: 'code', text: code! });
    end = match.index + raw.length;
  }
  if (end < text.length) spans.push({ type: 'text', text: text.slice(end) });
  return spans;
}

/** Sentence marks behind an address belong to the sentence; a bracket does when none was opened. */
function trimLink(raw: string): string {
  let link = raw;
  for (;;) {
    const last = link.at(-1) ?? '';
    const unopened = last === ')' && link.split('(').length < link.split(')').length;
    if (!'.,;:!?\'*_]}'.includes(last) && !unopened) return link;
    link = link.slice(0, -1);
  }
}

/** The address when it is a web address with a host and no password in it; null otherwise. */
export function safeHref(raw: string): string | null {
  try {
    const url = new URL(raw);
    const web = url.protocol === 'http:' || url.protocol === 'https:';
    return web && url.hostname !== '' && url.username === '' && url.password === '' ? url.href : null;
  } catch {
    return null;
  }
}
