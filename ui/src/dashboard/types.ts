import type { DisplayLine } from '../host/generated/DisplayLine';
import type { FiatAmount } from '../host/generated/FiatAmount';
import type { Kind } from '../host/generated/Kind';
import type { LinkState } from '../host/generated/LinkState';
import type { Verdict } from '../host/generated/Verdict';
import type { Method } from '../lib/method';

/** What the server's `/api/` answers, as `docs/programs.md` has it. */

export interface Payment {
  /** Its place in the record. */
  seq: number;
  at: string;
  wallet: string;
  kind: Kind;
  verdict: Verdict;
  method: Method;
  amount_msat: number;
  fiat: (FiatAmount & { source: string }) | null;
  memo: string;
  comment: string | null;
  payment_hash: string;
  checking_id: string | null;
  /** Only of what was read from the record. */
  arrived_at?: string;
  settled_at: string | null;
  heard_at: string;
}

/** Newest first; `next` is where the next page begins. */
export interface Page {
  payments: Payment[];
  next: string | null;
}

export interface Today {
  /** The shop's. */
  date: string;
  zone: string;
  /** Of every method. */
  count: number;
  /** With Lightning alone. */
  sum_msat: number;
  by_method: Partial<Record<Method, { count: number; sum_msat: number }>>;
  fiat: (FiatAmount & { method: Method; count: number })[];
  /** When the shop's day begins and ends, where the server says so. */
  begin?: string;
  end?: string;
}

export interface Status {
  version: string;
  wallets: { name: string; state: LinkState | null }[];
  displays: DisplayLine[];
}

/** What comes as it comes; there are others, of which this page makes nothing. */
export type Happening =
  | ({ event: 'payment' } & Omit<Payment, 'seq'>)
  | { event: 'link'; wallet: string; state: LinkState; detail: string | null }
  | { event: 'pending' | 'rejected' };
