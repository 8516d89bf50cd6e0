import type { Around } from '../host/generated/Around';
import type { Figures } from '../host/generated/Figures';
import type { Writing } from '../host/generated/Writing';
import { satsFormat } from './amount';

const fiatFormat = (currency: string, locale?: string) =>
  new Intl.NumberFormat(locale, { style: 'currency', currency });

/** Enough digits for two groups and a half, and a fraction. */
const sample = 123_456_789.5;

/** How amounts are written here, for a shell that draws one before this page has. */
export function writing(locale?: string): Writing {
  const fiat = figures(fiatFormat('EUR', locale), locale);
  const currencies: Record<string, Around> = {};
  for (const currency of Intl.supportedValuesOf('currency')) {
    const parts = fiatFormat(currency, locale).formatToParts(sample);
    const text = (type: string, otherwise: string) =>
      parts.find((part) => part.type === type)?.value ?? otherwise;
    // A few are written unlike the others: those are left to the page.
    if (text('group', fiat.group) !== fiat.group || text('decimal', fiat.point) !== fiat.point) continue;
    const isNumber = parts.map(({ type }) => ['integer', 'group', 'decimal', 'fraction'].includes(type));
    const join = (some: Intl.NumberFormatPart[]) => some.map(({ value }) => value).join('');
    currencies[currency] = {
      before: join(parts.slice(0, isNumber.indexOf(true))),
      behind: join(parts.slice(isNumber.lastIndexOf(true) + 1)),
    };
  }
  return { sats: figures(satsFormat(locale), locale), fiat, one: 'sat', many: 'sats', currencies };
}

function figures(format: Intl.NumberFormat, locale?: string): Figures {
  const parts = format.formatToParts(sample);
  const text = (type: string) => parts.find((part) => part.type === type)?.value ?? '';
  const groups = parts.filter(({ type }) => type === 'integer').map(({ value }) => value.length);
  const digit = new Intl.NumberFormat(locale, { useGrouping: false });
  const isGrouped = (digits: number) =>
    format.formatToParts(10 ** (digits - 1)).some(({ type }) => type === 'group');
  return {
    digits: Array.from({ length: 10 }, (_, n) => digit.format(n)).join(''),
    group: text('group'),
    point: text('decimal'),
    last: groups.at(-1) ?? 3,
    others: groups.at(-2) ?? 3,
    least: [4, 5, 6, 7].find(isGrouped) ?? 255,
  };
}
