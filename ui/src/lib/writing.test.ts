import { describe, expect, it } from 'vitest';
import { amount, amountText, widthInEm } from './amount';
import cases from './amount.cases.json';
import { fiatText } from './method';
import { writing } from './writing';

/** The shell writes the same amounts for its first frame; its tests have the same cases (`first_frame.rs`). */
describe.each(cases)('in $locale', ({ locale, writing: told, sats, fiat }) => {
  it('the shell is told how amounts are written', () => {
    const { currencies, ...rest } = writing(locale);
    const { currencies: known, ...expected } = told;
    expect(rest).toEqual(expected);
    expect(currencies).toMatchObject(known);
  });

  it('sats are written so', () => {
    for (const { msat, text, em } of sats) {
      expect(amountText(msat, locale)).toBe(text);
      expect(widthInEm(amount(msat, locale).number)).toBeCloseTo(em);
    }
  });

  it('and currencies', () => {
    for (const { currency, amount: number, text, em } of fiat) {
      expect(fiatText({ currency, amount: number }, locale)).toBe(text);
      expect(widthInEm(text)).toBeCloseTo(em);
    }
  });
});
