import type { LinkState } from '../host/generated/LinkState';
import { memos, wallets } from '../host/samples';
import type { Answer } from '../host/web/call';
import type { Method } from '../lib/method';
import type { Source } from './api';
import { arrivedAt, beginOf } from './hours';
import type { Page, Payment, Status, Today } from './types';

/**
 * A shop that is none: `?zone=Europe/Berlin`, `payments=` (how many), `wallets=` (how many), `mixed` (by card and in cash, too),
 * `refused=no-token|not-private`, `demo`, `lost`, `link=` (of the last wallet), `play=MS` (a payment each so many milliseconds).
 */
const query = new URLSearchParams(location.search);
const flag = (name: string) => query.has(name);
const count = (name: string, otherwise: number) => Number(query.get(name) ?? otherwise);

const zone = query.get('zone') ?? 'Europe/Berlin';
const names = wallets(count('wallets', 1)).map(({ name }) => name);
if (names.length === 1) names[0] = 'Beans & Brew';
const wanted = count('payments', 140);
const opening = 7.5;

/** The same numbers each time, from 0 to 1. */
let seed = 7;
function chance(): number {
  seed = (seed * 16_807) % 2_147_483_647;
  return seed / 2_147_483_647;
}

const hex = (length: number) => Array.from({ length }, () => Math.floor(chance() * 16).toString(16)).join('');

const sold: [memo: string, sats: number][] = [
  ['Coffee', 4_200],
  ['Two flat whites', 8_900],
  ['Croissant', 3_600],
  ['Bag of beans, 1 kg, ground for filter', 21_500],
  ['', 1_000],
  ['Table 4', 18_750],
  [memos.japanese ?? '', 12_300],
  ['Espresso to go', 2_800],
  [memos.arabic ?? '', 6_400],
  ['Cake of the day', 5_100],
  [memos.long ?? '', 64_000],
  ['Tip', 500],
];

function payment(seq: number, at: number): Payment {
  const [memo, sats] = sold[Math.floor(chance() ** 1.6 * sold.length)] ?? ['', 1];
  const dice = chance();
  const method: Method = flag('mixed') && dice < 0.3 ? (dice < 0.2 ? 'card' : 'cash') : 'lightning';
  const isReported = chance() < 0.03;
  const isLate = chance() < 0.05;
  const hash = hex(64);
  const euros = ((sats * 92_000) / 1e8).toFixed(2);
  const moment = (later: number) => new Date(at + later).toISOString();
  return {
    seq,
    at: moment(isLate ? 95_000 : 400),
    wallet: names[Math.floor(chance() * names.length)] ?? 'Beans & Brew',
    kind: isLate ? 'late' : 'live',
    verdict: isReported ? 'reported' : 'verified',
    method,
    amount_msat: sats * 1000,
    fiat:
      method !== 'lightning' || chance() < 0.4 ? { currency: 'EUR', amount: euros, source: 'wallet' } : null,
    memo,
    comment: chance() < 0.05 ? 'Thank you, see you tomorrow!' : null,
    payment_hash: hash,
    checking_id: isReported ? null : `internal_${hash.slice(0, 40)}`,
    settled_at: moment(0),
    heard_at: moment(isLate ? 90_000 : 350),
  };
}

const date = new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(Date.now());
const midnight = beginOf(date, zone);
const hour = 3_600_000;

/** From the opening on, busier around breakfast and lunch; what would be later than now was yesterday. */
function someTime(): number {
  const peak = [8.5, 9.5, 12.5, 13, 16][Math.floor(chance() * 5)] ?? 12;
  const at = midnight + Math.max(opening, peak + (chance() + chance() + chance() - 1.5) * 2.4) * hour;
  return at < Date.now() ? at : at - 24 * hour;
}

const record: Payment[] = Array.from({ length: wanted }, someTime)
  .sort((one, other) => one - other)
  .map((at, i) => payment(i + 1, at))
  .reverse();

function today(): Today {
  const of = record.filter((payment) => arrivedAt(payment) >= midnight);
  const methods = ['lightning', 'card', 'cash', 'other'] as const;
  const by_method: Today['by_method'] = {};
  const fiat: Today['fiat'] = [];
  for (const method of methods) {
    const these = of.filter((payment) => payment.method === method);
    by_method[method] = {
      count: these.length,
      sum_msat: these.reduce((sum, { amount_msat }) => sum + amount_msat, 0),
    };
    const euros = these.reduce((sum, { fiat }) => sum + Number(fiat?.amount ?? 0), 0);
    if (method !== 'lightning' && these.length > 0)
      fiat.push({ currency: 'EUR', amount: euros.toFixed(2), method, count: these.length });
  }
  const sum_msat = by_method.lightning?.sum_msat ?? 0;
  return { date, zone, count: of.length, sum_msat, by_method, fiat };
}

function page(asked: URLSearchParams): Page {
  const limit = Number(asked.get('limit') ?? 100);
  const after = Number(asked.get('after') ?? Number.POSITIVE_INFINITY);
  const [from, to] = [asked.get('from'), asked.get('to')];
  const search = asked.get('search')?.toLowerCase();
  const wallet = asked.get('wallet');
  const day = 24 * hour;
  const found = record.filter((payment) => {
    const at = arrivedAt(payment);
    return (
      payment.seq < after &&
      (from === null || at >= beginOf(from, zone)) &&
      (to === null || at < beginOf(to, zone) + day) &&
      (wallet === null || payment.wallet === wallet) &&
      (search === undefined ||
        payment.memo.toLowerCase().includes(search) ||
        payment.payment_hash.startsWith(search) ||
        payment.amount_msat === Number(search) * 1000)
    );
  });
  const payments = found.slice(0, limit);
  return { payments, next: found.length > limit ? String(payments.at(-1)?.seq) : null };
}

function status(): Status {
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const display = { address: '192.168.1.40', last_seen: ago(0), visible: true, sound: true, awake: true };
  const link = (query.get('link') ?? 'live') as LinkState;
  return {
    version: '0.1.0',
    wallets: names.map((name, i) => ({ name, state: i === names.length - 1 ? link : 'live' })),
    displays: [
      { ...display, name: 'Counter tablet', role: 'customer', connected: true, rings: true },
      {
        ...display,
        name: 'Bar',
        role: 'customer',
        connected: true,
        rings: true,
        sound: false,
        awake: false,
        address: '192.168.1.41',
      },
      {
        ...display,
        name: 'Terrace',
        role: 'customer',
        connected: false,
        rings: false,
        last_seen: ago(95),
        address: '192.168.1.42',
      },
      { ...display, name: 'Office', role: 'operator', connected: true, rings: false, address: '127.0.0.1' },
      {
        ...display,
        name: 'bookkeeping',
        role: 'program',
        connected: false,
        rings: false,
        last_seen: ago(3),
        visible: null,
        sound: null,
        awake: null,
        address: '127.0.0.1',
      },
    ],
  };
}

const refusals: Record<string, [status: number, message: string]> = {
  'no-token': [
    401,
    'This is for programs: send the token of one as `Authorization: Bearer TOKEN`. `tillbell-headless displays add --role program` makes one.',
  ],
  'not-private': [
    403,
    'An operator’s display works on the computer that runs Tillbell only, because this network could read along: open it there.',
  ],
  demo: [503, 'A demo is being played, and nothing of it is recorded: pair a wallet first.'],
};

function refused(code: string): Answer {
  const [status, message] = refusals[code] ?? [403, 'This display may not do that.'];
  return { status, said: { error: { code, message } } };
}

const began = Date.now();

async function get(path: string): Promise<Answer> {
  const { pathname, searchParams } = new URL(path, location.href);
  const why = query.get('refused');
  if (why !== null) return refused(why);
  if (flag('lost') && Date.now() - began > 1_000) throw new Error('nothing answers');
  const ok = (said: unknown) => ({ status: 200, said });
  if (pathname === '/api/status') return ok(status());
  if (flag('demo')) return refused('demo');
  return ok(pathname === '/api/today' ? today() : page(searchParams));
}

function events(): EventSource {
  const stream = Object.assign(new EventTarget(), { close: () => {} }) as unknown as EventSource;
  setTimeout(() => {
    const isHeard = query.get('refused') === null && !flag('demo') && !flag('lost');
    if (isHeard) stream.onopen?.(new Event('open'));
    else stream.onerror?.(new Event('error'));
  });
  if (flag('play'))
    setInterval(() => {
      const seq = (record[0]?.seq ?? 0) + 1;
      record.unshift(payment(seq, Date.now()));
      const { seq: _, ...told } = record[0] as Payment;
      const data = JSON.stringify({ v: 1, event: 'payment', ...told });
      stream.onmessage?.(new MessageEvent('message', { data, lastEventId: String(seq) }));
    }, count('play', 2_000) || 2_000);
  return stream;
}

export function pretendedShop(): Source {
  return { get, events };
}
