/** Millisatoshis as people read them, in whole sats unless there is a remainder. */
export interface Amount {
  number: string;
  unit: 'sat' | 'sats';
}

/** How sats are written. */
export const satsFormat = (locale?: string) =>
  new Intl.NumberFormat(locale, { maximumFractionDigits: 3, useGrouping: 'always' });

/** 1 000 500 msat → "1,000.5" and "sats", grouped as the locale does. */
export function amount(msat: number, locale?: string): Amount {
  return { number: satsFormat(locale).format(msat / 1000), unit: msat === 1000 ? 'sat' : 'sats' };
}

/** "1,000 sats", in one piece. */
export function amountText(msat: number, locale?: string): string {
  const { number, unit } = amount(msat, locale);
  return `${number}\u00a0${unit}`;
}

/** Characters narrower than a digit. The shell has the same list (`first_frame.rs`). */
const narrow = " \u00a0\u202f.,'’·٫٬،-\u200e\u200f\u061c";

/**
 * How wide an amount is at most, in em, so that CSS can fit it to the screen without measuring.
 *
 * The figures are those of DejaVu Sans Bold, the widest of the fonts that the stylesheet may end up with.
 */
export function widthInEm(number: string): number {
  let em = 0;
  for (const char of number) em += narrow.includes(char) ? 0.38 : /\p{Alphabetic}/u.test(char) ? 0.9 : 0.7;
  return em;
}
