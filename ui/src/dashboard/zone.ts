/** The shop's time zone as this browser takes it; `undefined`, its own, where it knows nothing of it. */
export function usableZone(name: string): string | undefined {
  const hours = /^([+-])(\d\d):00$/.exec(name);
  // Not every browser takes an offset for a zone. These names have their signs the other way round.
  const named = hours && `Etc/GMT${hours[1] === '+' ? '-' : '+'}${Number(hours[2])}`;
  return [name, named].find((zone) => zone !== null && isZone(zone)) ?? undefined;
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

const numbers = {
  calendar: 'gregory',
  numberingSystem: 'latn',
  hourCycle: 'h23',
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
} as const;

/** What the clocks of a zone show, as if they showed UTC: so that it can be reckoned with. */
export function wallClock(zone: string | undefined): (at: number) => number {
  const format = new Intl.DateTimeFormat('en', { ...numbers, timeZone: zone });
  return (at) => {
    const shown = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const of = (type: Intl.DateTimeFormatPartTypes) => shown.get(type) ?? 0;
    return Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  };
}

/** Times as the place writes them, by the shop's clock. */
export class ShopClock {
  readonly #time: Intl.DateTimeFormat;
  readonly #exact: Intl.DateTimeFormat;
  readonly #hour: Intl.DateTimeFormat;
  readonly #zoneName: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #dayOfYear: Intl.DateTimeFormat;
  readonly #wall: (at: number) => number;

  constructor(zone: string | undefined, locale?: string) {
    const format = (how: Intl.DateTimeFormatOptions) =>
      new Intl.DateTimeFormat(locale, { ...how, timeZone: zone });
    const { hour12 } = format({ hour: 'numeric' }).resolvedOptions();
    const hour = hour12 ? 'numeric' : '2-digit';
    this.#time = format({ hour, minute: '2-digit' });
    this.#hour = format({ hour });
    this.#exact = format({ dateStyle: 'long', timeStyle: 'long' });
    this.#zoneName = format({ hour, timeZoneName: 'short' });
    this.#day = format({ day: 'numeric', month: 'short' });
    this.#dayOfYear = format({ day: 'numeric', month: 'short', year: 'numeric' });
    this.#wall = wallClock(zone);
  }

  /** "14:03" or "2:03 PM". */
  time(at: number): string {
    return this.#time.format(at);
  }

  /** "1 December 2026 at 14:03:22 CET". */
  exact(at: string): string {
    return this.#exact.format(new Date(at));
  }

  /** "14", "2 PM": without what some languages put behind an hour. */
  hour(at: number): string {
    const parts = this.#hour.formatToParts(at);
    const shown = parts.filter(({ type }) => type === 'hour' || type === 'dayPeriod');
    return shown.map(({ value }) => value).join('\u00a0');
  }

  /** "CET": which of two hours that the clocks show alike. */
  zoneName(at: number): string {
    return this.#zoneName.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  }

  /** The day where it is not the present one: "30 Nov", with its year where that is another. */
  otherDay(at: number, now: number): string | null {
    const [then, present] = [new Date(this.#wall(at)), new Date(this.#wall(now))];
    if (then.toISOString().slice(0, 10) === present.toISOString().slice(0, 10)) return null;
    const sameYear = then.getUTCFullYear() === present.getUTCFullYear();
    return (sameYear ? this.#day : this.#dayOfYear).format(at);
  }

  /** "14:03" today, else "30 Nov, 14:03". */
  dayTime(at: string, now: number): string {
    const then = new Date(at).getTime();
    const day = this.otherDay(then, now);
    return day === null ? this.time(then) : `${day}, ${this.time(then)}`;
  }
}
