import type { Payment, Today } from './types';
import { usableZone, wallClock } from './zone';

const hour = 3_600_000;
const day = 24 * hour;

/** An hour of the shop's clocks, or what a change of the clocks leaves of one: `begin` to before `end`. */
export interface Hour {
  begin: number;
  end: number;
}

/** What came in an hour. */
export interface InHour extends Hour {
  /** By every method. */
  count: number;
  /** With Lightning alone. */
  msat: number;
}

/** When a day of a zone begins: where the clocks skip its midnight, as much later; where they show it twice, the first time. */
export function beginOf(date: string, zone: string | undefined): number {
  const midnight = Date.parse(`${date}T00:00:00Z`);
  const wall = wallClock(zone);
  const ahead = (at: number) => wall(at) - at;
  const before = midnight - ahead(midnight - day);
  const after = midnight - ahead(midnight + day);
  const shown = [before, after].filter((at) => wall(at) === midnight);
  return shown.length > 0 ? Math.min(...shown) : before;
}

export function nextDay(date: string): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + day).toISOString().slice(0, 10);
}

/** The hours from `begin` to `end`: as many as the shop's clocks show, 23 or 25 where they are changed. */
export function hoursBetween(begin: number, end: number, zone: string | undefined): Hour[] {
  const wall = wallClock(zone);
  const hours: Hour[] = [];
  for (let at = begin; at < end; ) {
    const untilFull = hour - (((wall(at) % hour) + hour) % hour);
    const next = Math.min(at + untilFull, end);
    hours.push({ begin: at, end: next });
    at = next;
  }
  return hours;
}

/** When a payment arrived, as far as is told. */
export function arrivedAt({
  arrived_at,
  settled_at,
  heard_at,
}: Pick<Payment, 'arrived_at' | 'settled_at' | 'heard_at'>): number {
  return Date.parse(arrived_at ?? settled_at ?? heard_at);
}

/** What came in each hour of the day of which all of these are. */
export function byHour(today: Pick<Today, 'date' | 'zone' | 'begin' | 'end'>, payments: Payment[]): InHour[] {
  const zone = usableZone(today.zone);
  const arrivals = payments.map(arrivedAt);
  const begin = today.begin === undefined ? beginOf(today.date, zone) : Date.parse(today.begin);
  const end = today.end === undefined ? beginOf(nextDay(today.date), zone) : Date.parse(today.end);
  // A bar's day lasts until its guests have gone: what the server counts to this day is part of it.
  const last = arrivals.reduce((last, at) => Math.max(last, at + 1), end);
  const hours = hoursBetween(begin, end, zone).concat(hoursBetween(end, last, zone));
  const told = hours.map((of) => ({ ...of, count: 0, msat: 0 }));
  payments.forEach(({ method, amount_msat }, i) => {
    const at = arrivals[i] ?? Number.NaN;
    const of = told.find(({ end }) => at < end) ?? told.at(-1);
    if (of === undefined) return;
    of.count += 1;
    if (method === 'lightning') of.msat += amount_msat;
  });
  return told;
}
