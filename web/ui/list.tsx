// SPDX-License-Identifier: Apache-2.0
//
// A list of rows of unknown height of which only those near the view are in the document. It keeps
// what the reader looks at where it is: rows may come in above, below, or change their height.
//
//  - "stuck" to the end: new rows push the old ones up;
//  - otherwise an anchor, the first visible steady row, keeps its distance from the top of the view.
//
// Spacer heights and scrollTop are set by hand in the layout effect, after measuring, so that one
// frame never shows a guess.

import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useReducer, useRef } from 'preact/hooks';
import { Heights } from './heights';

export interface ListRow {
  readonly key: string;
}

export interface ListHandle {
  toEnd(): void;
  by(pixels: number): void;
  view(): number;
  focus(): void;
}

export interface ListProps<R extends ListRow> {
  readonly rows: readonly R[];
  readonly label: string;
  readonly render: (row: R) => ComponentChildren;
  readonly guess: (row: R) => number;
  /** A row whose key and place among its neighbours outlive a page of older rows. */
  readonly steady: (row: R) => boolean;
  /** Where to begin: this row near the top of the view, or the end. */
  readonly begin?: string;
  readonly onNearTop: () => void;
  /** Whether the end is in view, and the first row that lies below the view. */
  readonly onPlace: (at_end: boolean, below: number) => void;
  readonly handle: { current: ListHandle | null };
}

const k_margin_px = 700;
const k_spare_px = 250;
const k_rows_max = 160;
const k_end_px = 24;

interface Place {
  stuck: boolean;
  begun: boolean;
  anchor: { key: string; offset: number } | null;
  start: number;
  end: number;
}

export function List<R extends ListRow>(props: ListProps<R>) {
  const { rows } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const above = useRef<HTMLDivElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLDivElement>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const latest = useRef(props);
  latest.current = props;
  const heights = useRef<Heights | null>(null);
  heights.current ??= new Heights((index) => latest.current.guess(latest.current.rows[index]!));
  const place = useRef<Place>({ stuck: true, begun: false, anchor: null, start: 0, end: 0 }).current;
  const known = useRef<readonly R[] | null>(null);

  if (known.current !== rows) {
    known.current = rows;
    heights.current.setKeys(rows.map((row) => row.key));
    begin(place, rows, props.begin);
    aim(place, heights.current, rows, scroller.current);
  }

  useLayoutEffect(() => settle());
  useEffect(() => {
    const observer = new ResizeObserver(() => settle());
    observer.observe(scroller.current!);
    observer.observe(body.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    props.handle.current = {
      toEnd: () => {
        place.stuck = true;
        place.anchor = null;
        settle();
      },
      by: (pixels) => scroller.current!.scrollBy({ top: pixels }),
      view: () => scroller.current!.clientHeight,
      focus: () => scroller.current!.focus(),
    };
    return () => {
      props.handle.current = null;
    };
  }, []);

  /** Measures what is drawn, puts everything in its place, and draws again when rows are missing. */
  function settle(): void {
    const view = scroller.current;
    const sums = heights.current!;
    if (!view || view.clientHeight === 0) return;
    const drawn = [...body.current!.children] as HTMLElement[];
    sums.measure(drawn.map((row) => [row.dataset['key']!, row.getBoundingClientRect().height] as const));
    spread();
    const wanted = target(place, sums, latest.current.rows, view.clientHeight);
    if (wanted !== null && Math.abs(view.scrollTop - wanted) > 0.5) view.scrollTop = wanted;
    look();
  }

  function spread(): void {
    const sums = heights.current!;
    above.current!.style.height = `${sums.top(place.start)}px`;
    below.current!.style.height = `${Math.max(0, sums.total - sums.top(place.end))}px`;
  }

  /** Draws other rows when the view comes near the edge of those drawn; tells where we are. */
  function look(): void {
    const view = scroller.current!;
    const sums = heights.current!;
    const needed = sums.range(view.scrollTop, view.clientHeight, k_spare_px, k_rows_max);
    if (needed.start < place.start || needed.end > place.end) {
      const range = sums.range(view.scrollTop, view.clientHeight, k_margin_px, k_rows_max);
      // On a screen so tall that k_rows_max is too few, the same range again would draw for ever.
      const other = range.start !== place.start || range.end !== place.end;
      place.start = range.start;
      place.end = range.end;
      if (other) return redraw(0);
    }
    const end = view.scrollTop + view.clientHeight;
    latest.current.onPlace(sums.total - end <= k_end_px, sums.indexAt(end - 8) + 1);
    if (place.begun && view.scrollTop < view.clientHeight * 1.5) latest.current.onNearTop();
  }

  function onScroll(): void {
    const view = scroller.current!;
    const sums = heights.current!;
    place.stuck = sums.total - (view.scrollTop + view.clientHeight) <= k_end_px;
    place.anchor = place.stuck ? null : steadyAt(latest.current, sums, view.scrollTop);
    look();
  }

  return (
    <div class="vlist" ref={scroller} role="log" aria-live="off" aria-label={props.label} tabIndex={0} onScroll={onScroll}>
      <div ref={above} />
      <div ref={body} class="vlist-body">
        {rows.slice(place.start, place.end).map((row) => (
          <div class="vlist-row" key={row.key} data-key={row.key}>
            {props.render(row)}
          </div>
        ))}
      </div>
      <div ref={below} />
    </div>
  );
}

function begin(place: Place, rows: readonly ListRow[], at: string | undefined): void {
  if (place.begun || rows.length < 2) return;
  place.begun = true;
  if (at === undefined || !rows.some((row) => row.key === at)) return;
  place.stuck = false;
  place.anchor = { key: at, offset: -96 };
}

/** Before drawing changed rows: a range around where the view is going to be. */
function aim(place: Place, sums: Heights, rows: readonly ListRow[], view: HTMLElement | null): void {
  const height = view?.clientHeight ?? 800;
  const top = target(place, sums, rows, height) ?? view?.scrollTop ?? 0;
  const range = sums.range(top, height, k_margin_px, k_rows_max);
  place.start = range.start;
  place.end = range.end;
}

function target(place: Place, sums: Heights, rows: readonly ListRow[], view: number): number | null {
  const lowest = Math.max(0, sums.total - view);
  if (place.stuck) return lowest;
  const anchor = place.anchor;
  const index = anchor ? rows.findIndex((row) => row.key === anchor.key) : -1;
  return index < 0 ? null : Math.min(lowest, Math.max(0, sums.top(index) + anchor!.offset));
}

function steadyAt<R extends ListRow>(props: ListProps<R>, sums: Heights, top: number): Place['anchor'] {
  let index = sums.indexAt(top);
  while (index < props.rows.length && !props.steady(props.rows[index]!)) ++index;
  const row = props.rows[index];
  return row ? { key: row.key, offset: top - sums.top(index) } : null;
}
