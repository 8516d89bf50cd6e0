import { flushSync } from 'svelte';

/** Changes the rows above what somebody looks at, and leaves that where it is. Most browsers do so by themselves. */
export function steadily(change: () => void): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-role="payment"]')];
  const looked = rows.find((row) => row.getBoundingClientRect().top >= 0);
  // Who sees the first row is to see what comes above it.
  if (CSS.supports('overflow-anchor', 'auto') || looked === undefined || looked === rows[0]) {
    change();
    return;
  }
  const before = looked.getBoundingClientRect().top;
  flushSync(change);
  if (looked.isConnected) window.scrollBy(0, looked.getBoundingClientRect().top - before);
}
