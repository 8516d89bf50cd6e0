import { describe, expect, it } from 'vitest';
import { beginOf, byHour, hoursBetween, nextDay } from './hours';
import type { Payment } from './types';
import { ShopClock, usableZone } from './zone';

const berlin = 'Europe/Berlin';
const iso = (at: number) => new Date(at).toISOString().replace('.000', '');

const heard = (settled_at: string | null, more: Partial<Payment> = {}) =>
  ({
    method: 'lightning',
    amount_msat: 1_000,
    settled_at,
    heard_at: '2026-10-25T10:00:00Z',
    ...more,
  }) as Payment;

describe('a day begins', () => {
  it.each([
    ['2026-12-01', berlin, '2026-11-30T23:00:00Z'],
    ['2026-03-29', berlin, '2026-03-28T23:00:00Z'],
    ['2026-03-30', berlin, '2026-03-29T22:00:00Z'],
    ['2026-10-25', berlin, '2026-10-24T22:00:00Z'],
    ['2026-10-26', berlin, '2026-10-25T23:00:00Z'],
    ['2026-12-01', 'America/New_York', '2026-12-01T05:00:00Z'],
    ['2026-12-01', 'Pacific/Kiritimati', '2026-11-30T10:00:00Z'],
    ['2026-12-01', 'Asia/Kathmandu', '2026-11-30T18:15:00Z'],
    // Midnight is skipped, and shown twice.
    ['2026-04-24', 'Africa/Cairo', '2026-04-23T22:00:00Z'],
    ['2026-11-01', 'America/Havana', '2026-11-01T04:00:00Z'],
  ])('%s in %s at %s', (date, zone, at) => {
    expect(iso(beginOf(date, zone))).toBe(at);
  });

  it.each([
    ['2026-02-28', '2026-03-01'],
    ['2026-12-31', '2027-01-01'],
  ])('after %s with %s', (date, next) => {
    expect(nextDay(date)).toBe(next);
  });
});

describe('the hours of a day', () => {
  const hours = (date: string, zone: string) =>
    hoursBetween(beginOf(date, zone), beginOf(nextDay(date), zone), zone);
  const clock = new ShopClock(berlin, 'en-GB');

  it.each([
    ['2026-10-24', 24],
    ['2026-10-25', 25],
    ['2026-03-29', 23],
  ])('of %s in Berlin are %i', (date, count) => {
    const all = hours(date, berlin);
    expect(all).toHaveLength(count);
    expect(all.every(({ begin, end }) => end - begin === 3_600_000)).toBe(true);
    expect(all.map(({ begin }) => begin).slice(1)).toEqual(all.map(({ end }) => end).slice(0, -1));
  });

  it('show one twice, or none, when the clocks are changed', () => {
    const shown = (date: string) => hours(date, berlin).map(({ begin }) => clock.hour(begin));
    expect(shown('2026-10-25').slice(0, 5)).toEqual(['00', '01', '02', '02', '03']);
    expect(shown('2026-03-29').slice(0, 4)).toEqual(['00', '01', '03', '04']);
    const [, , first, second] = hours('2026-10-25', berlin);
    expect([first, second].map((hour) => clock.zoneName(hour?.begin ?? 0))).toEqual(['CEST', 'CET']);
  });

  it('are those of the clocks where a zone is not whole hours from UTC', () => {
    expect(hours('2026-12-01', 'Asia/Kathmandu')).toHaveLength(24);
    const change = hours('2026-04-05', 'Australia/Lord_Howe');
    expect(change.map(({ begin, end }) => (end - begin) / 60_000).filter((length) => length !== 60)).toEqual([
      30,
    ]);
    expect(change).toHaveLength(25);
  });
});

describe('payments by the hour', () => {
  const today = { date: '2026-10-25', zone: berlin };
  const filled = (told: ReturnType<typeof byHour>) =>
    told.flatMap(({ count, msat }, i) => (count > 0 ? [[i, count, msat]] : []));

  it('are counted in the hour in which they settled, also in the one that comes twice', () => {
    const told = byHour(today, [
      heard('2026-10-24T22:00:00Z'),
      heard('2026-10-25T00:59:59Z'),
      heard('2026-10-25T01:00:00Z'),
      heard('2026-10-25T01:30:00Z', { amount_msat: 500 }),
      heard('2026-10-25T22:59:59Z'),
    ]);
    expect(filled(told)).toEqual([
      [0, 1, 1_000],
      [2, 1, 1_000],
      [3, 2, 1_500],
      [24, 1, 1_000],
    ]);
  });

  it('count as sats with Lightning only, and by when they were heard where nobody says when they settled', () => {
    const told = byHour(today, [heard(null), heard(null, { method: 'card' })]);
    expect(filled(told)).toEqual([[12, 2, 1_000]]);
  });

  it('go on after midnight where the shop’s day does', () => {
    const told = byHour({ date: '2026-11-21', zone: berlin }, [heard('2026-11-22T01:20:00Z')]);
    expect(told).toHaveLength(27);
    expect(filled(told)).toEqual([[26, 1, 1_000]]);
  });

  it('have the hours of the shop’s day where the server tells when it begins and ends', () => {
    const day = { begin: '2026-11-21T03:30:00Z', end: '2026-11-22T03:30:00Z' };
    const told = byHour({ date: '2026-11-21', zone: berlin, ...day }, [
      heard('2026-11-21T03:40:00Z'),
      heard('2026-11-22T03:10:00Z'),
    ]);
    expect(told).toHaveLength(25);
    expect(filled(told).map(([hour]) => hour)).toEqual([0, 24]);
  });
});

describe('a zone', () => {
  it('that has no name is one by how far it is from UTC', () => {
    const at = Date.parse('2026-12-01T12:00:00Z');
    const shown = (name: string) => new ShopClock(usableZone(name), 'en-GB').time(at);
    expect([berlin, '+01:00', '-03:00', 'UTC'].map(shown)).toEqual(['13:00', '13:00', '09:00', '12:00']);
  });

  it('that this browser does not know is its own', () => {
    expect(usableZone('Europe/Atlantis')).toBeUndefined();
  });
});

describe('the shop’s clock', () => {
  const clock = new ShopClock('America/New_York', 'en-US');
  const now = Date.parse('2026-12-01T17:00:00Z');

  it('says the day where it is another one there', () => {
    const said = (at: string) => clock.dayTime(at, now).replace(/\s/g, ' ');
    expect(said('2026-12-01T05:00:00Z')).toBe('12:00 AM');
    expect(said('2026-12-01T04:59:00Z')).toBe('Nov 30, 11:59 PM');
    expect(said('2025-12-01T17:00:00Z')).toBe('Dec 1, 2025, 12:00 PM');
  });

  it('names hours without what some languages put behind them', () => {
    expect(clock.hour(now).replace(/\s/g, ' ')).toBe('12 PM');
    expect(new ShopClock(berlin, 'de').hour(now)).toBe('18');
  });
});
