/** Millisatoshis as people read them, in whole sats unless there is a remainder. */
export interface Amount {
  number: string;
  unit: 'sat' | 'sats';
}

/** 1 000 500 msat → "1,000.5" and "sats", grouped as the locale does. */
export function amount(msat: number, locale?: string): Amount {
  const format = new Intl.NumberFormat(locale, { maximumFractionDigits: 3, useGrouping: 'always' });
  return { number: format.format(msat / 1000), unit: msat === 1000 ? 'sat' : 'sats' };
}

/** "1,000 sats", in one piece. */
export function amountText(msat: number, locale?: string): string {
  const { number, unit } = amount(msat, locale);
  return `${number}\u00a0${unit}`;
}

/**
 * How wide an amount is at most, in em, so that CSS can fit it to the screen without measuring.
 *
 * The figures are those of DejaVu Sans Bold, the widest of the fonts that the stylesheet may end up with.
 */
export function widthInEm(number: string): number {
  let em = 0;
  for (const char of number) em += /\p{Nd}|\p{Sc}/u.test(char) ? 0.7 : /\p{L}/u.test(char) ? 0.9 : 0.38;
  return em;
}
