import { describe, expect, it } from 'vitest';
import { age, clockFace, clockTime, dayTime, untilNextMinute } from './time';

/** A moment of this machine's own day, so that the tests hold in every time zone. */
const local = (day: number, hour: number, minute: number, second = 0) =>
  new Date(2026, 10, day, hour, minute, second);
const now = local(24, 15, 30).getTime();
const ageOf = (when: Date) => age(when.toISOString(), now, 'en-GB');

describe('the age of a payment', () => {
  it('is "just now" within the first minute', () => {
    expect(ageOf(local(24, 15, 29, 1))).toBe('just now');
  });

  it('is "just now" when the clock was set back', () => {
    expect(ageOf(local(24, 16, 0))).toBe('just now');
  });

  it('counts whole minutes within the hour', () => {
    expect(ageOf(local(24, 15, 29))).toBe('1 min ago');
    expect(ageOf(local(24, 14, 30, 1))).toBe('59 min ago');
  });

  it('counts whole hours within the day', () => {
    expect(ageOf(local(24, 13, 15))).toBe('2 h ago');
  });

  it('says the time after half a day', () => {
    expect(ageOf(local(24, 3, 5))).toBe('03:05');
  });

  it('says yesterday for the calendar day before', () => {
    expect(ageOf(local(23, 23, 50))).toBe('yesterday 23:50');
  });

  it('says the date for what is older', () => {
    expect(ageOf(local(12, 9, 5))).toBe('12 Nov, 09:05');
  });
});

describe('a time of day', () => {
  it('has two digits each', () => {
    expect(clockTime(local(24, 9, 5), 'en-GB')).toBe('09:05');
  });

  it('parts from AM and PM where the place says them', () => {
    expect(clockFace(local(24, 14, 3).getTime(), 'en-US')).toEqual({ time: '2:03', half: 'PM' });
    expect(clockFace(local(24, 14, 3).getTime(), 'en-GB')).toEqual({ time: '14:03', half: '' });
  });

  it('carries the date only when it is not today', () => {
    expect(dayTime(local(24, 14, 3).toISOString(), now, 'en-GB')).toBe('14:03');
    expect(dayTime(local(23, 14, 3).toISOString(), now, 'en-GB')).toBe('yesterday 14:03');
  });
});

describe('the clock', () => {
  it('next ticks on the full minute', () => {
    expect(untilNextMinute(local(24, 15, 30, 20).getTime())).toBe(40_000);
    expect(untilNextMinute(local(24, 15, 30, 0).getTime())).toBe(60_000);
  });
});
