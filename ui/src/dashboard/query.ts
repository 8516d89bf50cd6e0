/** Which payments are looked at; empty for no matter. Days are the shop's. */
export interface Filters {
  search: string;
  from: string;
  to: string;
  wallet: string;
}

export const everything: Filters = { search: '', from: '', to: '', wallet: '' };

/** So many are on a page. */
export const pageSize = 50;

export function isEverything(filters: Filters): boolean {
  return Object.values(filters).every((value) => value.trim() === '');
}

export function isSame(some: Filters, others: Filters): boolean {
  return paymentsPath(some, pageSize) === paymentsPath(others, pageSize);
}

/** The address of a page of payments; `after` is the `next` of the page before. */
export function paymentsPath(filters: Partial<Filters>, limit: number, after: string | null = null): string {
  const query = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries(filters)) {
    // A wallet's name is taken as it is.
    const given = name === 'wallet' ? value : value.trim();
    if (given !== '') query.set(name, given);
  }
  if (after !== null) query.set('after', after);
  return `/api/payments?${query}`;
}
