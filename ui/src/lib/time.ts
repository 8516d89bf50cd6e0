const minute = 60_000;
const hour = 60 * minute;

/** "14:03" or "2:03 PM", as the place writes it. */
export function clockTime(when: Date | number | string, locale?: string): string {
  return clockFormat(locale).format(new Date(when));
}

/** The same in two parts, so that a large clock can set AM and PM small; `half` is empty where there is none. */
export function clockFace(when: number, locale?: string): { time: string; half: string } {
  const parts = clockFormat(locale).formatToParts(when);
  const half = parts.find((part) => part.type === 'dayPeriod')?.value ?? '';
  const time = parts
    .filter((part) => part.type !== 'dayPeriod')
    .map((part) => part.value)
    .join('')
    .trim();
  return { time, half };
}

/** Two digits for the hour where a day has 24 of them, as few as needed where it has 12. */
function clockFormat(locale: string | undefined): Intl.DateTimeFormat {
  const { hour12 } = new Intl.DateTimeFormat(locale, { hour: 'numeric' }).resolvedOptions();
  return new Intl.DateTimeFormat(locale, { hour: hour12 ? 'numeric' : '2-digit', minute: '2-digit' });
}

/** "Tuesday, 24 November". */
export function longDate(when: Date | number | string, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' }).format(
    new Date(when),
  );
}

/** "14:03" today, "yesterday 14:03", else with the date. */
export function dayTime(when: string, now: number, locale?: string): string {
  const time = clockTime(when, locale);
  const days = daysBetween(new Date(when), new Date(now));
  if (days <= 0) return time;
  if (days === 1) return `yesterday ${time}`;
  const day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' }).format(new Date(when));
  return `${day}, ${time}`;
}

/** "just now", "3 min ago", "2 h ago", then as `dayTime`. A clock that was set back reads as "just now". */
export function age(when: string, now: number, locale?: string): string {
  const passed = now - new Date(when).getTime();
  if (passed < minute) return 'just now';
  if (passed < hour) return `${Math.floor(passed / minute)} min ago`;
  if (passed < 12 * hour && daysBetween(new Date(when), new Date(now)) === 0) {
    return `${Math.floor(passed / hour)} h ago`;
  }
  return dayTime(when, now, locale);
}

/** How long until the next full minute, so that a clock need not tick in between. */
export function untilNextMinute(now: number): number {
  return minute - (now % minute);
}

/** Calendar days, not spans of 24 hours: a day that changes its clock has 23 or 25. */
function daysBetween(earlier: Date, later: Date): number {
  const dayNumber = (date: Date) =>
    Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000;
  return dayNumber(later) - dayNumber(earlier);
}
