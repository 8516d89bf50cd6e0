import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { flushSync, mount, unmount } from 'svelte';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { keepTime } from '../lib/now.svelte';
import { click, part, parts, plain, role, text, type } from '../testing/rehearsal';
import Dashboard from './Dashboard.svelte';
import { beat, Live, silence } from './live.svelte';
import type { Page, Payment, Status, Today } from './types';

const noon = '2026-10-25T11:00:00Z';

beforeEach(() => {
  vi.useFakeTimers({ now: new Date(noon) });
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

const pass = async (milliseconds: number) => {
  await vi.advanceTimersByTimeAsync(milliseconds);
  flushSync();
};

const hashOf = (seq: number) => seq.toString(16).padStart(64, '0');

function payment(seq: number, more: Partial<Payment> = {}): Payment {
  const at = new Date(Date.parse(noon) - 3_600_000 + seq * 1_000).toISOString();
  return {
    seq,
    at,
    wallet: 'Beans',
    kind: 'live',
    verdict: 'verified',
    method: 'lightning',
    amount_msat: 1_000_000,
    fiat: null,
    memo: `Coffee ${seq}`,
    comment: null,
    payment_hash: hashOf(seq),
    checking_id: `check-${seq}`,
    settled_at: at,
    heard_at: at,
    ...more,
  };
}

const display: Status['displays'][number] = {
  name: 'Counter',
  role: 'customer',
  connected: true,
  address: '192.168.1.40',
  last_seen: noon,
  visible: true,
  sound: true,
  rings: true,
  awake: true,
};

/** A server with a record, which answers as the real one does. */
class Shop {
  record: Payment[] = [];
  zone = 'Europe/Berlin';
  status: Status = { version: '1.2.3', wallets: [{ name: 'Beans', state: 'live' }], displays: [display] };
  /** What is answered instead of anything; null: nothing answers. */
  instead: [status: number, code: string, message: string] | null | undefined;
  others: Pick<Today, 'by_method' | 'fiat'> = { by_method: {}, fiat: [] };
  asked: string[] = [];
  streams: Stream[] = [];
  /** A stream is opened at once. */
  opens = true;

  constructor(count = 0) {
    for (let seq = 1; seq <= count; seq += 1) this.record.unshift(payment(seq));
    const shop = this;
    vi.stubGlobal('fetch', async (path: string) => {
      shop.asked.push(path);
      if (shop.instead === null) throw new TypeError('Failed to fetch');
      if (shop.instead && !(shop.instead[1] === 'demo' && path === '/api/status')) {
        const [status, code, message] = shop.instead;
        return { status, text: async () => JSON.stringify({ error: { code, message } }) };
      }
      return {
        status: 200,
        text: async () => JSON.stringify(shop.answer(new URL(path, 'http://localhost'))),
      };
    });
    vi.stubGlobal(
      'EventSource',
      class extends Stream {
        constructor(path: string) {
          super(path);
          shop.streams.push(this);
          queueMicrotask(() => {
            if (shop.opens && shop.instead === undefined) this.onopen?.(new Event('open'));
            else this.onerror?.(new Event('error'));
          });
        }
      },
    );
  }

  get stream(): Stream {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error('nobody listens');
    return stream;
  }

  /** Those that ask for something, by what they ask. */
  count(part: string): number {
    return this.asked.filter((path) => path.includes(part)).length;
  }

  come(seq: number, more: Partial<Payment> = {}) {
    const heard = payment(seq, more);
    this.record.unshift(heard);
    const { seq: _, ...told } = heard;
    this.stream.say({ v: 1, event: 'payment', ...told }, String(seq));
  }

  answer({ pathname, searchParams }: URL): Status | Today | Page {
    if (pathname === '/api/status') return this.status;
    const lightning = this.record.filter(({ method }) => method === 'lightning');
    const sum_msat = lightning.reduce((sum, { amount_msat }) => sum + amount_msat, 0);
    if (pathname === '/api/today') {
      const by_method = { ...this.others.by_method, lightning: { count: lightning.length, sum_msat } };
      const count = this.record.length;
      return { date: '2026-10-25', zone: this.zone, count, sum_msat, by_method, fiat: this.others.fiat };
    }
    const limit = Number(searchParams.get('limit'));
    const after = Number(searchParams.get('after') ?? Number.POSITIVE_INFINITY);
    const search = searchParams.get('search') ?? '';
    const found = this.record.filter(({ seq, memo }) => seq < after && memo.includes(search));
    const payments = found.slice(0, limit);
    return { payments, next: found.length > limit ? String(payments.at(-1)?.seq) : null };
  }
}

/** What a page listens with. */
class Stream {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent<string>) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  isClosed = false;

  constructor(readonly path: string) {}

  close() {
    this.isClosed = true;
  }

  say(told: object, lastEventId = '') {
    this.onmessage?.(new MessageEvent('message', { data: JSON.stringify(told), lastEventId }));
    flushSync();
  }
}

/** The page, open for a moment. */
async function open(shop: Shop) {
  const live = new Live();
  const stopTime = keepTime();
  const app = mount(Dashboard, { target: document.body, props: { live } });
  const stop = live.begin();
  onTestFinished(async () => {
    stop();
    stopTime();
    await unmount(app);
    document.body.replaceChildren();
  });
  await pass(10);
  shop.asked = [];
  return live;
}

const hashes = () => parts('payment').map(({ dataset }) => Number.parseInt(dataset.hash ?? '', 16));
const cells = (row: Element) => [...row.children].map(plain).join(' ');
const rows = (name: string) => [...part(name).querySelectorAll('tbody tr')].map(cells);
const opener = (row: number) => parts('opener')[row] as HTMLElement;

describe('today', () => {
  it('is counted and summed up with Lightning, and everything else by itself', async () => {
    const shop = new Shop(3);
    shop.others = {
      by_method: {
        card: { count: 3, sum_msat: 9_000_000 },
        cash: { count: 1, sum_msat: 1 },
        other: { count: 0, sum_msat: 0 },
      },
      fiat: [
        { currency: 'EUR', amount: '12.50', method: 'card', count: 1 },
        { currency: 'JPY', amount: '700', method: 'card', count: 1 },
      ],
    };
    await open(shop);
    expect([text('today-count'), text('today-sum'), part('today-sum').dataset.msat]).toEqual([
      '3 payments',
      '3,000 sats',
      '3000000',
    ]);
    expect(part('today-count').closest('[aria-live="polite"]')).not.toBeNull();
    expect(parts('today-method').map(plain)).toEqual([
      'Card €12.50 · JP¥700 3 payments, 2 of them with an amount',
      'Cash amount not told 1 payment',
    ]);
    expect(plain(document.body)).toContain('Sunday 25 October · Europe/Berlin');
    expect(document.title).toBe('3 payments today · Tillbell');
  });

  it('grows at once with a payment, and is read once a second at most', async () => {
    const shop = new Shop(3);
    await open(shop);
    await pass(1_000);
    shop.asked = [];
    shop.come(4);
    await pass(0);
    expect(text('today-count')).toBe('4 payments');
    for (let seq = 5; seq <= 25; seq += 1) {
      shop.come(seq);
      await pass(50);
    }
    expect(shop.count('/api/today')).toBe(2);
    await pass(1_000);
    expect(text('today-count')).toBe('25 payments');
    expect(shop.count('/api/today')).toBe(3);
  });
});

describe('the chart', () => {
  it('has an hour more on the day on which the clocks are set back, in its table, too', async () => {
    const shop = new Shop(2);
    shop.record.push(
      payment(0, { settled_at: '2026-10-25T00:10:00Z' }),
      payment(-1, { settled_at: '2026-10-25T01:10:00Z' }),
    );
    await open(shop);
    expect(part('chart').dataset.hours).toBe('25');
    expect(rows('chart-table').slice(1, 5)).toEqual([
      '01:00 0 0 sats',
      '02:00 CEST 1 1,000 sats',
      '02:00 CET 1 1,000 sats',
      '03:00 0 0 sats',
    ]);
    expect(text('chart')).toContain('Payments in each hour');
    expect(text('chart')).toContain('Most came from 11:00 on: 2 payments.');
  });

  it('is of sats when somebody wants that', async () => {
    await open(new Shop(2));
    click('chart-sats');
    expect(text('chart')).toContain('Sats in each hour, with Lightning');
    expect(text('chart')).toContain('2,000 sats.');
  });

  it('grows with a payment, for which only what is new is read', async () => {
    const shop = new Shop(2);
    await open(shop);
    await pass(1_000);
    shop.asked = [];
    shop.come(3);
    await pass(0);
    expect(rows('chart-table')[12]).toBe('11:00 3 3,000 sats');
    expect(shop.asked.filter((path) => path.includes('from='))).toEqual([
      '/api/payments?limit=50&from=2026-10-25&to=2026-10-25',
    ]);
  });

  it('is of the latest two thousand at most, and says so', async () => {
    const shop = new Shop(2_400);
    await open(shop);
    expect(rows('chart-table').reduce((sum, row) => sum + Number(row.split(' ').at(-3)), 0)).toBe(2_000);
    expect(text('chart-cut')).toBe('The chart shows the latest 2,000 payments of today.');
    expect(text('today-count')).toBe('2,400 payments');
  });
});

describe('the payments', () => {
  it('are shown page by page', async () => {
    const shop = new Shop(120);
    await open(shop);
    expect([hashes()[0], hashes().at(-1), hashes().length]).toEqual([120, 71, 50]);
    expect((part('newer') as HTMLButtonElement).disabled).toBe(true);
    click('older');
    await pass(0);
    expect([hashes()[0], hashes().at(-1)]).toEqual([70, 21]);
    expect(document.activeElement?.textContent).toBe('Payments');
    click('older');
    await pass(0);
    expect([hashes()[0], hashes().at(-1), text('page-number')]).toEqual([20, 1, 'Page 3']);
    expect((part('older') as HTMLButtonElement).disabled).toBe(true);
    shop.come(121);
    await pass(1_000);
    expect(hashes()[0]).toBe(20);
    click('newer');
    await pass(0);
    click('newer');
    await pass(0);
    expect(hashes()[0]).toBe(121);
  });

  it('come at the top and leave what is open', async () => {
    const shop = new Shop(60);
    await open(shop);
    opener(49).click();
    flushSync();
    const row = parts('payment')[49];
    expect([row?.dataset.hash, opener(49).getAttribute('aria-expanded')]).toEqual([hashOf(11), 'true']);
    shop.come(61);
    expect([hashes()[0], hashes().at(-1), hashes().length]).toEqual([61, 11, 51]);
    await pass(2_000);
    expect(parts('payment')[50]).toBe(row);
    expect(part('details').dataset.hash).toBe(hashOf(11));
    opener(50).click();
    flushSync();
    expect(role('details')).toBeNull();
  });

  it('tell everything when they are opened, in text and nothing else', async () => {
    const shop = new Shop();
    shop.record = [
      payment(7, {
        memo: '<b>Tea</b>',
        comment: '<img src=x onerror=alert(1)>',
        kind: 'late',
        verdict: 'reported',
        checking_id: null,
        settled_at: null,
        method: 'card',
        fiat: { currency: 'EUR', amount: '1.50', source: 'wallet' },
      }),
    ];
    await open(shop);
    expect(cells(part('payment'))).toContain('€1.50 <b>Tea</b> Card ? reported only');
    opener(0).click();
    flushSync();
    const details = text('details');
    for (const told of [
      'Counted by the server as 1,000 sats (1,000,000 msat)',
      '€1.50 (as the wallet says)',
      'not confirmed by the wallet',
      'found later',
      'the server does not say',
      '25 October 2026 at 11:00:07 CET',
      '<img src=x onerror=alert(1)>',
      hashOf(7),
      'none: it was only reported',
    ])
      expect(details).toContain(told);
    expect(document.querySelector('main img, main b')).toBeNull();
  });

  it('are searched, once nobody types any more', async () => {
    const shop = new Shop(60);
    await open(shop);
    type('search', 'Coffee 4');
    await pass(200);
    type('search', ' Coffee 42 ');
    await pass(400);
    expect(shop.asked.filter((path) => path.includes('search='))).toEqual([
      '/api/payments?limit=50&search=Coffee+42',
    ]);
    expect(hashes()).toEqual([42]);
    shop.come(61, { memo: 'Coffee 42 again' });
    shop.come(62);
    await pass(1_000);
    expect(hashes()).toEqual([61, 42]);
    click('clear');
    await pass(0);
    expect([hashes().length, (part('search') as HTMLInputElement).value]).toEqual([50, '']);
  });

  it('are searched at once when somebody is done, and nothing is turned back for what was searched already', async () => {
    const shop = new Shop(120);
    await open(shop);
    const leave = () => part('search').dispatchEvent(new Event('change', { bubbles: true }));
    type('search', 'Coffee');
    leave();
    await pass(0);
    expect(text('page-number')).toBe('Page 1');
    click('older');
    leave();
    await pass(400);
    expect([hashes()[0], text('page-number')]).toEqual([70, 'Page 2']);
  });

  it('say why nothing is found, and that nothing is', async () => {
    const shop = new Shop(3);
    await open(shop);
    type('search', 'tea');
    await pass(400);
    expect(text('nothing')).toBe('No payment is like that.');
    shop.instead = [422, 'bad-parameter', 'Nothing arrives in this span.'];
    type('search', 'tee');
    await pass(400);
    expect(text('payments-trouble')).toBe('Nothing arrives in this span.');
  });

  it('say in which wallet they are, where there are several', async () => {
    const shop = new Shop(2);
    await open(shop);
    expect(role('wallet-choice')).toBeNull();
    shop.come(3, { wallet: 'Bar' });
    expect([...part('wallet-choice').querySelectorAll('option')].map(plain)).toEqual(['all', 'Beans', 'Bar']);
    const choice = part('wallet-choice') as HTMLSelectElement;
    choice.value = 'Bar';
    choice.dispatchEvent(new Event('change', { bubbles: true }));
    await pass(0);
    expect(shop.asked.at(-1)).toContain('wallet=Bar');
  });
});

describe('the state', () => {
  it('is that of wallets, displays and version', async () => {
    const shop = new Shop();
    shop.status.wallets.push({ name: 'Bar', state: null });
    shop.status.displays.push(
      { ...display, name: 'Terrace', connected: false, last_seen: null },
      { ...display, name: 'Bar', sound: false, awake: false, visible: false },
      { ...display, name: 'books', role: 'program', visible: null, sound: null, awake: null, rings: false },
    );
    await open(shop);
    expect(parts('wallet').map(plain)).toEqual(['Beans listening', 'Bar not listened to']);
    expect(parts('display').map(plain)).toEqual([
      'Counter for customers connected · rings · stays awake · 192.168.1.40',
      'Terrace for customers not seen since Tillbell started · 192.168.1.40',
      'Bar for customers connected · is to ring, but its browser does not let it: tap it once · may fall asleep · its page is hidden · 192.168.1.40',
      'books a program connected · 192.168.1.40',
    ]);
    expect(text('version')).toBe('Tillbell 1.2.3');
    shop.stream.say({ v: 1, event: 'link', wallet: 'Beans', state: 'down', detail: 'The server is away.' });
    expect(plain(part('wallet'))).toBe('Beans not connected: The server is away.');
  });
});

describe('a browser that may not', () => {
  it('says why and what to do, and goes on once it may', async () => {
    const shop = new Shop(3);
    shop.instead = [403, 'not-private', 'An operator’s display works on this computer only.'];
    await open(shop);
    expect(plain(part('refusal').querySelector('h1') as Element)).toContain('works on this computer only');
    expect(text('refusal')).toContain(
      'Make a link with tillbell-headless displays add --role operator and open it',
    );
    await pass(60_000);
    // No more than ten a minute may be wrong.
    expect(shop.asked.length).toBeLessThanOrEqual(6);
    expect(shop.streams).toHaveLength(1);
    shop.instead = undefined;
    await pass(beat);
    expect([text('today-count'), part('connection').dataset.state]).toEqual(['3 payments', 'live']);
  });

  it('is not told what a program is told', async () => {
    const shop = new Shop();
    shop.instead = [401, 'no-token', 'This is for programs.'];
    await open(shop);
    expect(plain(part('refusal').querySelector('h1') as Element)).toContain('This browser may not see');
    expect(text('refusal')).toContain('This is for programs.');
  });
});

describe('the connection', () => {
  it('is said to be lost after twelve seconds of silence, and what was missed is read when it is back', async () => {
    const shop = new Shop(3);
    await open(shop);
    expect(part('connection').dataset.state).toBe('live');
    shop.instead = null;
    shop.stream.onerror?.(new Event('error'));
    await pass(silence - 100);
    expect(role('lost')).toBeNull();
    await pass(200);
    expect([part('connection').dataset.state, text('lost')]).toEqual([
      'down',
      expect.stringContaining('What you see is from 12:00'),
    ]);
    expect(text('today-count')).toBe('3 payments');
    shop.record.unshift(payment(4));
    shop.instead = undefined;
    await pass(5_100);
    expect([part('connection').dataset.state, text('today-count'), hashes()[0]]).toEqual([
      'live',
      '4 payments',
      4,
    ]);
    expect(role('lost')).toBeNull();
  });

  it('is tried again after half a second, and then after five at most', async () => {
    const shop = new Shop();
    await open(shop);
    shop.instead = null;
    shop.stream.onerror?.(new Event('error'));
    expect(shop.streams[0]?.isClosed).toBe(true);
    const counts = [];
    for (const wait of [400, 200, 1_000, 2_000, 4_000, 5_000, 5_000]) {
      await pass(wait);
      counts.push(shop.streams.length);
    }
    expect(counts).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('asks every ten seconds where no event comes through', async () => {
    const shop = new Shop(3);
    shop.opens = false;
    await open(shop);
    shop.record.unshift(payment(4));
    await pass(silence + beat);
    expect([part('connection').dataset.state, text('today-count'), hashes()[0]]).toEqual([
      'polling',
      '4 payments',
      4,
    ]);
  });

  it('is given up for lost though it never ends, and is begun anew', async () => {
    const shop = new Shop();
    await open(shop);
    shop.instead = null;
    await pass(beat + silence);
    expect([shop.streams[0]?.isClosed, part('connection').dataset.state]).toEqual([true, 'down']);
  });

  it('says once what is wrong with the record', async () => {
    const shop = new Shop();
    shop.instead = [503, 'demo', 'A demo is being played.'];
    await open(shop);
    await pass(2 * beat);
    expect([text('today-trouble'), role('payments-trouble')]).toEqual(['A demo is being played.', null]);
    expect([text('version'), part('connection').dataset.state]).toEqual(['Tillbell 1.2.3', 'polling']);
    expect([role('refusal'), role('lost')]).toEqual([null, null]);
  });
});

describe('the page', () => {
  it('holds nothing that a policy without inline scripts and styles forbids', () => {
    const page = readFileSync(join(import.meta.dirname, '../../dashboard.html'), 'utf8');
    expect(page).not.toMatch(/<style|\sstyle=|\son\w+=/);
    for (const [, attributes = '', text = ''] of page.matchAll(/<script(.*?)>(.*?)<\/script>/gs)) {
      expect(attributes).toContain('src="/');
      expect(text).toBe('');
    }
  });
});
