import { describe, expect, it } from 'vitest';
import { namedEach, ticks } from './bars';
import { joined, keyOf, meets, renewed, withNew } from './merge';
import { everything, isEverything, pageSize, paymentsPath } from './query';
import type { Page, Payment } from './types';

describe('the address of a page', () => {
  it.each([
    [{}, '/api/payments?limit=50'],
    [everything, '/api/payments?limit=50'],
    [{ search: '  two coffees ' }, '/api/payments?limit=50&search=two+coffees'],
    [{ search: '   ' }, '/api/payments?limit=50'],
    [{ from: '2026-11-24', to: '2026-11-25' }, '/api/payments?limit=50&from=2026-11-24&to=2026-11-25'],
    [{ wallet: 'Café & Bar ' }, '/api/payments?limit=50&wallet=Caf%C3%A9+%26+Bar+'],
  ])('of %j is %s', (filters, path) => {
    expect(paymentsPath(filters, 50)).toBe(path);
  });

  it('has the place after which it begins', () => {
    expect(paymentsPath(everything, 10, '71')).toBe('/api/payments?limit=10&after=71');
  });

  it('is that of everything where nothing but space was typed', () => {
    expect([
      isEverything({ ...everything, search: ' ' }),
      isEverything({ ...everything, to: '2026-11-24' }),
    ]).toEqual([true, false]);
  });
});

const payment = (seq: number, wallet = 'Bar') => ({ seq, wallet, payment_hash: `hash-${seq}` }) as Payment;
/** Payments from one place down to another. */
const down = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, i) => payment(from - i));
const page = (from: number, to: number, next: string | null = String(to)): Page => ({
  payments: down(from, to),
  next,
});
const ends = ({ payments, next }: Page) => [payments[0]?.seq, payments.at(-1)?.seq, payments.length, next];
const none = new Set<string>();
const open = (seq: number) => new Set([keyOf(payment(seq))]);

describe('a payment that comes', () => {
  it('stands at the top, and the page keeps its size', () => {
    expect(ends(withNew(page(100, 51), payment(101), none))).toEqual([101, 52, pageSize, '52']);
    expect(ends(withNew(page(3, 1, null), payment(4), none))).toEqual([4, 1, 4, null]);
    expect(ends(withNew({ payments: [], next: null }, payment(1), none))).toEqual([1, 1, 1, null]);
  });

  it('pushes nothing out that is open', () => {
    const full = withNew(page(100, 51), payment(101), open(51));
    expect(ends(full)).toEqual([101, 51, 51, '51']);
    expect(ends(withNew(full, payment(102), none))).toEqual([102, 53, pageSize, '53']);
  });

  it('is there once, though it is told twice or out of turn', () => {
    const twice = withNew(page(100, 51), { ...payment(100), memo: 'Tea' }, none);
    expect([ends(twice), twice.payments[0]?.memo]).toEqual([[100, 51, pageSize, '51'], 'Tea']);
    expect(joined([payment(9), payment(7)], [payment(8)]).map(({ seq }) => seq)).toEqual([9, 8, 7]);
  });

  it('is another one in another wallet, though both sides share a hash', () => {
    const other = { ...payment(101, 'Counter'), payment_hash: 'hash-100' };
    expect(withNew(page(100, 51), other, none).payments.slice(0, 2).map(keyOf)).toEqual([
      'hash-100 Counter',
      'hash-100 Bar',
    ]);
  });
});

describe('the first page, read again', () => {
  it('is as it is read', () => {
    expect(ends(renewed(page(100, 51), page(103, 54), none))).toEqual([103, 54, pageSize, '54']);
    expect(ends(renewed(page(3, 1, null), page(4, 1, null), none))).toEqual([4, 1, 4, null]);
  });

  it('keeps what is open further down', () => {
    expect(ends(renewed(page(100, 51), page(103, 54), open(52)))).toEqual([103, 52, 52, '52']);
  });

  it('is begun anew where it has nothing in common with what was shown', () => {
    expect(ends(renewed(page(100, 51), page(300, 251), open(60)))).toEqual([300, 251, pageSize, '251']);
    expect(ends(renewed(page(100, 51), { payments: [], next: null }, none))).toEqual([
      undefined,
      undefined,
      0,
      null,
    ]);
  });

  it('meets what is known, or does not', () => {
    expect([meets(down(5, 1), down(7, 5)), meets(down(5, 1), down(7, 6)), meets([], [])]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('a chart', () => {
  it.each([
    [0, [0, 1]],
    [1, [0, 1]],
    [3, [0, 1, 2, 3]],
    [9, [0, 5, 10]],
    [24, [0, 10, 20, 30]],
    [100, [0, 50, 100]],
    [235_100, [0, 100_000, 200_000, 300_000]],
  ])('up to %i has lines at %j', (most, lines) => {
    expect(ticks(most)).toEqual(lines);
  });

  it('names as many hours as there is room for', () => {
    expect([40, 20, 13, 4, 1].map((step) => namedEach(step, 36))).toEqual([1, 2, 3, 12, 12]);
  });
});
