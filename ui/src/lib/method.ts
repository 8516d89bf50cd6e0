import type { FiatAmount } from '../host/generated/FiatAmount';
import type { MethodSum } from '../host/generated/MethodSum';
import type { Paid } from '../host/generated/Paid';
import { amountText } from './amount';

/** How a payment was paid. */
export type Method = MethodSum['method'];

/** The title of a payment that is shown. */
export const titleWords: Record<Method, string> = {
  lightning: 'Paid',
  card: 'Paid by card',
  cash: 'Paid in cash',
  other: 'Paid another way',
};

/** Behind an amount. */
export const methodWords: Record<Method, string> = {
  lightning: 'with Lightning',
  card: 'by card',
  cash: 'in cash',
  other: 'another way',
};

/** "€1.50", as the locale writes it, with as many digits as the amount has. */
export function fiatText({ currency, amount }: FiatAmount, locale?: string): string {
  const digits = amount.split('.')[1]?.length ?? 0;
  const format = new Intl.NumberFormat(locale, {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return format.format(Number(amount));
}

/** What the customer paid in fiat; null where they paid sats, whatever those are worth. */
export function customersFiat({ method, fiat }: Pick<Paid, 'method' | 'fiat'>): FiatAmount | null {
  return method === 'lightning' ? null : fiat;
}

/** What the customer paid: "€1.50", or "1,000 sats" where no fiat amount is known. */
export function paidText(paid: Pick<Paid, 'method' | 'fiat' | 'amountMsat'>): string {
  const fiat = customersFiat(paid);
  return fiat === null ? amountText(paid.amountMsat) : fiatText(fiat);
}

/** True where a sum need not say what it is a sum of: all is Lightning. */
export function isPlain(sums: MethodSum[]): boolean {
  return sums.every(({ method }) => method === 'lightning');
}

/** "4,500 sats"; "4,500 sats with Lightning, €1.50 by card": several methods are never added up. */
export function sumWords(sums: MethodSum[]): string {
  const plain = isPlain(sums);
  const words = sums.map((sum) => {
    const money = paidText({ ...sum, amountMsat: sum.totalMsat });
    return plain ? money : `${money} ${methodWords[sum.method]}`;
  });
  return words.join(', ');
}
