import { describe, expect, it } from 'vitest';
import { amount, amountText, widthInEm } from './amount';

describe('an amount', () => {
  it.each([
    [0, '0 sats'],
    [1_000, '1 sat'],
    [2_000, '2 sats'],
    [999_000, '999 sats'],
    [1_000_000, '1,000 sats'],
    [21_000_000_000, '21,000,000 sats'],
    [2_100_000_000_000_000, '2,100,000,000,000 sats'],
  ])('of %i msat reads %s', (msat, text) => {
    expect(amountText(msat, 'en').replace('\u00a0', ' ')).toBe(text);
  });

  it.each([
    [1_500, '1.5'],
    [1_001, '1.001'],
    [1, '0.001'],
    [999, '0.999'],
    [12_345_678, '12,345.678'],
  ])('of %i msat shows what is left below a sat: %s', (msat, number) => {
    expect(amount(msat, 'en')).toEqual({ number, unit: 'sats' });
  });

  it('is grouped as the place does', () => {
    expect(amount(21_000_000_000, 'de').number).toBe('21.000.000');
    expect(amount(1_500, 'de').number).toBe('1,5');
  });

  it('never breaks between number and unit', () => {
    expect(amountText(5_000, 'en')).toBe('5\u00a0sats');
  });
});

describe('the width of a number', () => {
  it('grows with each digit, and less with a separator', () => {
    expect(widthInEm('1')).toBeCloseTo(0.7);
    expect(widthInEm('1,000')).toBeCloseTo(4 * 0.7 + 0.38);
  });

  it('has room for the name or the sign of a currency', () => {
    expect(widthInEm('€1')).toBeCloseTo(2 * 0.7);
    expect(widthInEm('CHF\u00a01')).toBeCloseTo(3 * 0.9 + 0.38 + 0.7);
  });

  it('counts the digits of every script', () => {
    expect(widthInEm('١٠')).toBeCloseTo(widthInEm('10'));
  });
});
