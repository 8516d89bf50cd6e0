import { pageSize } from './query';
import type { Page, Payment } from './types';

/** What is the same payment has the same key. Both sides of an internal one share a hash. */
export function keyOf({ payment_hash, wallet }: Pick<Payment, 'payment_hash' | 'wallet'>): string {
  return `${payment_hash} ${wallet}`;
}

/** Newest first, each once, as it was told last. */
export function joined(known: Payment[], told: Payment[]): Payment[] {
  const all = new Map([...known, ...told].map((payment) => [keyOf(payment), payment]));
  return [...all.values()].sort((one, other) => other.seq - one.seq);
}

/** Whether some of these are known: then nothing is missing in between. */
export function meets(known: Payment[], told: Payment[]): boolean {
  const keys = new Set(known.map(keyOf));
  return told.some((payment) => keys.has(keyOf(payment)));
}

/** The first page with one that has just come. */
export function withNew(page: Page, payment: Payment, open: ReadonlySet<string>): Page {
  return cut({ ...page, payments: joined(page.payments, [payment]) }, open);
}

/** The first page as it is now: what is open further down stays. */
export function renewed(page: Page, now: Page, open: ReadonlySet<string>): Page {
  const oldest = now.payments.at(-1);
  if (now.next === null || oldest === undefined || !meets(page.payments, now.payments)) return now;
  const below = page.payments.filter(({ seq }) => seq < oldest.seq);
  if (below.length === 0) return now;
  return cut({ payments: joined(now.payments, below), next: page.next }, open);
}

/** A page grows beyond its size only as far as one is open. */
function cut({ payments, next }: Page, open: ReadonlySet<string>): Page {
  const lastOpen = payments.findLastIndex((payment) => open.has(keyOf(payment)));
  const length = Math.max(pageSize, lastOpen + 1);
  const last = payments[length - 1];
  if (last === undefined || payments.length <= length) return { payments, next };
  // The next page comes after the last payment's place: so the server says it, too.
  return { payments: payments.slice(0, length), next: String(last.seq) };
}
