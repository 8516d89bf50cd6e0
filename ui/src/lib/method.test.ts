import { describe, expect, it } from 'vitest';
import type { MethodSum } from '../host/generated/MethodSum';
import { fiatText, paidText, sumWords } from './method';

const plain = (text: string) => text.replace(/\s/g, ' ');

describe('an amount of fiat', () => {
  it.each([
    ['EUR', '1.50', 'en', '€1.50'],
    ['EUR', '1.50', 'de', '1,50 €'],
    ['USD', '1234.05', 'en', '$1,234.05'],
    ['JPY', '150', 'en', '¥150'],
    ['KWD', '1.500', 'en', 'KWD 1.500'],
    ['IQD', '1.500', 'en', 'IQD 1.500'],
    ['CHF', '0.05', 'en', 'CHF 0.05'],
    ['XYZ', '3.00', 'en', 'XYZ 3.00'],
  ])('%s %s reads, in %s, %s', (currency, amount, locale, text) => {
    expect(plain(fiatText({ currency, amount }, locale))).toBe(text);
  });
});

describe('what the customer paid', () => {
  const fiat = { currency: 'EUR', amount: '1.50' };

  it('is fiat by card and in cash, and sats with Lightning', () => {
    expect(paidText({ method: 'card', fiat, amountMsat: 1_000_000 })).toBe('€1.50');
    expect(paidText({ method: 'cash', fiat, amountMsat: 1_000_000 })).toBe('€1.50');
    expect(plain(paidText({ method: 'lightning', fiat, amountMsat: 1_000_000 }))).toBe('1,000 sats');
    expect(plain(paidText({ method: 'card', fiat: null, amountMsat: 1_000_000 }))).toBe('1,000 sats');
  });

  it('is never added up over several methods', () => {
    const lightning: MethodSum = { method: 'lightning', count: 2, totalMsat: 4_500_000, fiat: null };
    const card: MethodSum = { method: 'card', count: 1, totalMsat: 1_000_000, fiat };
    expect(plain(sumWords([lightning]))).toBe('4,500 sats');
    expect(plain(sumWords([card]))).toBe('€1.50 by card');
    expect(plain(sumWords([lightning, card]))).toBe('4,500 sats with Lightning, €1.50 by card');
    expect(sumWords([])).toBe('');
  });
});
