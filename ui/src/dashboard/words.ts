import type { DisplayLine } from '../host/generated/DisplayLine';
import type { DisplayRole } from '../host/generated/DisplayRole';
import type { FiatAmount } from '../host/generated/FiatAmount';
import type { Kind } from '../host/generated/Kind';
import { amountText } from '../lib/amount';
import { fiatText, type Method } from '../lib/method';
import type { Payment, Today } from './types';
import type { ShopClock } from './zone';

export const methodNames: Record<Method, string> = {
  lightning: 'Lightning',
  card: 'Card',
  cash: 'Cash',
  other: 'Another way',
};

export const roleNames: Record<DisplayRole, string> = {
  customer: 'for customers',
  operator: 'for the operator',
  program: 'a program',
};

export const kindWords: Record<Kind, string> = {
  live: 'as it happened',
  late: 'found later',
};

/** "1 payment", "47 payments". */
export function paymentsWords(count: number, locale?: string): string {
  return `${new Intl.NumberFormat(locale).format(count)} ${count === 1 ? 'payment' : 'payments'}`;
}

/** What came by a method that is not Lightning. */
export interface Beside {
  method: Method;
  count: number;
  /** By currency; none where nobody has told how much. */
  fiat: FiatAmount[];
  /** So many of them have told how much. */
  told: number;
}

/** Each method by itself: several are never added up. */
export function besides({ by_method, fiat }: Today): Beside[] {
  const methods = ['card', 'cash', 'other'] as const;
  const all = methods.map((method) => {
    const of = fiat.filter((sum) => sum.method === method);
    const told = of.reduce((told, { count }) => told + count, 0);
    return { method, count: by_method[method]?.count ?? 0, fiat: of, told };
  });
  return all.filter(({ count }) => count > 0);
}

/** The sats of a payment; null where its customer paid none, and the fiat says how much it was. */
export function satsOf({ method, fiat, amount_msat }: Payment): string | null {
  return method === 'lightning' || fiat === null ? amountText(amount_msat) : null;
}

export function fiatOf({ fiat }: Payment): string | null {
  return fiat === null ? null : fiatText(fiat);
}

/** "connected", "last seen 14:03". */
export function seenWords({ connected, last_seen }: DisplayLine, clock: ShopClock, now: number): string {
  if (connected) return 'connected';
  return last_seen === null
    ? 'not seen since Tillbell started'
    : `last seen ${clock.dayTime(last_seen, now)}`;
}

/** Whether it rings; null where it has no page that could. */
export function soundWords({ rings, sound }: DisplayLine): string | null {
  if (!rings) return 'silent';
  if (sound === null) return 'is to ring';
  return sound ? 'rings' : 'is to ring, but its browser does not let it: tap it once';
}

/** What is to be known of a display's page. */
export function displayWords(display: DisplayLine): string[] {
  if (display.role === 'program') return [];
  const { awake, visible } = display;
  const awakeWords = awake === null ? null : awake ? 'stays awake' : 'may fall asleep';
  const words = [soundWords(display), awakeWords, visible === false ? 'its page is hidden' : null];
  return words.filter((word) => word !== null);
}

/** True where somebody should look after a display. */
export function needsCare({ role, connected, rings, sound, visible }: DisplayLine): boolean {
  if (!connected) return role === 'customer';
  if (role === 'program') return false;
  return (role === 'customer' && visible === false) || (rings && sound === false);
}
