import type { AskingLine } from './generated/AskingLine';
import type { Display } from './generated/Display';
import type { DisplayLine } from './generated/DisplayLine';
import type { DisplayRole } from './generated/DisplayRole';
import type { LinkView } from './generated/LinkView';
import type { More } from './generated/More';
import type { Paid } from './generated/Paid';
import type { PairingProgress } from './generated/PairingProgress';
import type { PayCode } from './generated/PayCode';
import type { PhoneView } from './generated/PhoneView';
import type { Scene } from './generated/Scene';
import type { Sentence } from './generated/Sentence';
import type { StepState } from './generated/StepState';
import type { WalletView } from './generated/WalletView';
import type { NewDisplay } from './types';

/** Pictures to rehearse with: one of every kind, and the hard cases of each. */

const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

export const live: LinkView = { state: 'live', detail: null, untrustedSince: null };

const names = [
  'Counter',
  'Bar',
  'Terrace',
  'Market stall',
  'Catering',
  'Roastery',
  'Online shop',
  'Workshop',
];

/** So many wallets, all of them heard. The last names are long ones. */
export function wallets(count: number): WalletView[] {
  return Array.from({ length: count }, (_, i) => ({
    name: names[i] ?? `Beans & Brew on the corner of Station Road, till number ${i + 1}`,
    link: live,
  }));
}

/** A link that is lost for some minutes. */
export function lost(minutes: number, detail: string | null = null): LinkView {
  return { state: 'down', detail: detail === null ? null : said(detail), untrustedSince: ago(minutes) };
}

/** A sentence that the engine says, in English only. */
export function said(text: string): Sentence {
  return { code: 'sample', args: {}, text };
}

export const drawnCode: PayCode = {
  text: 'beans@tillbell.example',
  modules: 25,
  path: 'M0 0h7v1h-7zM9 0h3v1h-3zM16 0h1v1h-1zM18 0h7v1h-7zM0 1h1v1h-1zM6 1h1v1h-1zM11 1h2v1h-2zM15 1h1v1h-1zM18 1h1v1h-1zM24 1h1v1h-1zM0 2h1v1h-1zM2 2h3v1h-3zM6 2h1v1h-1zM8 2h3v1h-3zM12 2h1v1h-1zM14 2h2v1h-2zM18 2h1v1h-1zM20 2h3v1h-3zM24 2h1v1h-1zM0 3h1v1h-1zM2 3h3v1h-3zM6 3h1v1h-1zM8 3h1v1h-1zM10 3h5v1h-5zM16 3h1v1h-1zM18 3h1v1h-1zM20 3h3v1h-3zM24 3h1v1h-1zM0 4h1v1h-1zM2 4h3v1h-3zM6 4h1v1h-1zM8 4h2v1h-2zM13 4h1v1h-1zM16 4h1v1h-1zM18 4h1v1h-1zM20 4h3v1h-3zM24 4h1v1h-1zM0 5h1v1h-1zM6 5h1v1h-1zM8 5h5v1h-5zM14 5h3v1h-3zM18 5h1v1h-1zM24 5h1v1h-1zM0 6h7v1h-7zM8 6h1v1h-1zM10 6h1v1h-1zM12 6h1v1h-1zM14 6h1v1h-1zM16 6h1v1h-1zM18 6h7v1h-7zM8 7h1v1h-1zM10 7h2v1h-2zM14 7h3v1h-3zM0 8h1v1h-1zM2 8h5v1h-5zM10 8h1v1h-1zM13 8h3v1h-3zM18 8h5v1h-5zM0 9h2v1h-2zM3 9h2v1h-2zM11 9h2v1h-2zM14 9h1v1h-1zM16 9h1v1h-1zM19 9h1v1h-1zM21 9h1v1h-1zM2 10h1v1h-1zM6 10h3v1h-3zM11 10h2v1h-2zM15 10h1v1h-1zM17 10h1v1h-1zM23 10h2v1h-2zM1 11h1v1h-1zM3 11h1v1h-1zM10 11h1v1h-1zM16 11h1v1h-1zM18 11h3v1h-3zM23 11h2v1h-2zM0 12h3v1h-3zM4 12h1v1h-1zM6 12h1v1h-1zM10 12h1v1h-1zM13 12h2v1h-2zM17 12h2v1h-2zM20 12h5v1h-5zM0 13h3v1h-3zM4 13h2v1h-2zM7 13h2v1h-2zM12 13h2v1h-2zM19 13h1v1h-1zM22 13h1v1h-1zM0 14h1v1h-1zM3 14h1v1h-1zM5 14h3v1h-3zM9 14h2v1h-2zM14 14h2v1h-2zM18 14h2v1h-2zM21 14h4v1h-4zM0 15h1v1h-1zM2 15h4v1h-4zM10 15h1v1h-1zM12 15h1v1h-1zM15 15h2v1h-2zM20 15h1v1h-1zM0 16h1v1h-1zM2 16h3v1h-3zM6 16h1v1h-1zM8 16h1v1h-1zM12 16h3v1h-3zM16 16h5v1h-5zM22 16h1v1h-1zM24 16h1v1h-1zM8 17h2v1h-2zM15 17h2v1h-2zM20 17h2v1h-2zM0 18h7v1h-7zM11 18h2v1h-2zM14 18h1v1h-1zM16 18h1v1h-1zM18 18h1v1h-1zM20 18h1v1h-1zM22 18h3v1h-3zM0 19h1v1h-1zM6 19h1v1h-1zM8 19h1v1h-1zM10 19h2v1h-2zM14 19h1v1h-1zM16 19h1v1h-1zM20 19h1v1h-1zM0 20h1v1h-1zM2 20h3v1h-3zM6 20h1v1h-1zM8 20h2v1h-2zM11 20h1v1h-1zM15 20h7v1h-7zM23 20h2v1h-2zM0 21h1v1h-1zM2 21h3v1h-3zM6 21h1v1h-1zM8 21h1v1h-1zM12 21h2v1h-2zM15 21h1v1h-1zM17 21h2v1h-2zM20 21h2v1h-2zM23 21h2v1h-2zM0 22h1v1h-1zM2 22h3v1h-3zM6 22h1v1h-1zM8 22h2v1h-2zM13 22h2v1h-2zM16 22h1v1h-1zM19 22h1v1h-1zM21 22h1v1h-1zM24 22h1v1h-1zM0 23h1v1h-1zM6 23h1v1h-1zM9 23h1v1h-1zM12 23h2v1h-2zM15 23h4v1h-4zM24 23h1v1h-1zM0 24h7v1h-7zM8 24h1v1h-1zM10 24h1v1h-1zM12 24h1v1h-1zM14 24h1v1h-1zM17 24h3v1h-3zM22 24h3v1h-3z',
};

export const memos: Record<string, string> = {
  none: '',
  short: 'Coffee',
  medium: 'Two flat whites, one almond croissant and a bag of beans',
  long: 'Table 7: four breakfasts, two with oat milk, one without egg; extra bread; the children’s juice is on the house. Thank you for coming, and see you on Sunday at the market!',
  endless: 'All work and no play makes the bell a dull thing. '.repeat(13).slice(0, 640),
  unbroken: 'x'.repeat(640),
  japanese: '抹茶ラテ二つと、季節の和菓子セットを一つ。ありがとうございました。またお越しくださいませ。',
  arabic: 'قهوة عربية مع تمر، شكراً لزيارتكم (2 × 1,500)',
  emoji: '☕️☕️🥐 👩🏽‍🍳 🎉 thank you 🇸🇻',
  markup: '<script>alert("paid")</script><b>bold</b> &amp;',
};

export function paid(change: Partial<Paid> = {}): Paid {
  return {
    showing: 1,
    method: 'lightning',
    amountMsat: 1_000_000,
    fiat: null,
    memo: 'Coffee',
    comment: null,
    wallet: null,
    verdict: 'verified',
    kind: 'live',
    at: ago(0),
    more: null,
    ...change,
  };
}

/** So many more behind a payment, with Lightning. */
export function more(count: number, totalMsat = 4_500_000): More {
  return { count, sums: [{ method: 'lightning', count, totalMsat, fiat: null }] };
}

/** By card and in cash, too, where they are `mixed`. */
export function catchUp(
  count = 3,
  into: WalletView[] = [],
  mixed = false,
): Extract<Scene, { name: 'catch-up' }> {
  const kinds = [
    'Coffee',
    'Two flat whites',
    memos.japanese ?? '',
    '',
    'Bag of beans, 1 kg, ground for filter',
    '🥐',
  ];
  const methods: Paid['method'][] = mixed ? ['lightning', 'card', 'cash'] : ['lightning'];
  const items = Array.from({ length: Math.min(count, 6) }, (_, i) => ({
    method: methods[i % methods.length] ?? 'lightning',
    fiat: mixed ? { currency: 'EUR', amount: `${i + 1}.50` } : null,
    amountMsat: [1_000_000, 21_500_000, 350_000, 4_200_000][i % 4] ?? 0,
    memo: kinds[i % kinds.length] ?? '',
    wallet: into[i % into.length]?.name ?? null,
    at: ago(7 + i * 26),
  }));
  const sums = methods.map((method) => {
    const of = items.filter((item) => item.method === method);
    const totalMsat = of.reduce((sum, item) => sum + item.amountMsat, 0);
    const euros = of.reduce((sum, item) => sum + Number(item.fiat?.amount), 0);
    const fiat = method === 'lightning' ? null : { currency: 'EUR', amount: euros.toFixed(2) };
    return { method, count: of.length, totalMsat, fiat };
  });
  return { name: 'catch-up', showing: 1, count, sums, items };
}

const labels = ['Read the pairing', 'Reach the server', 'Check the key', 'Open the socket', 'Ring the bell'];
const details = ['a wallet page’s address', 'LNbits 1.6.2', 'wallet “Beans & Brew”', null, null];

const saidOf = (text: string | null | undefined) => (text == null ? null : said(text));

/** An attempt that stands at a step, counted from 0. */
export function progressAt(at: number, state: StepState = 'running'): PairingProgress {
  return {
    steps: labels.map((label, i) => ({
      label: said(label),
      state: i < at ? 'done' : i === at ? state : 'waiting',
      detail: i < at ? saidOf(details[i]) : null,
    })),
    outcome: null,
  };
}

export function failure(): PairingProgress {
  return {
    ...progressAt(2, 'failed'),
    outcome: {
      name: 'failed',
      sentence: said(
        'The server does not know this key. Copy the Invoice/read key again; nothing was changed.',
      ),
    },
  };
}

export function success(): PairingProgress {
  return { ...progressAt(labels.length), outcome: { name: 'paired', shop: 'Beans & Brew' } };
}

/** A phone that pairs, and is so far. */
export function phone(state: PhoneView['state']): PhoneView {
  const number = '048291';
  switch (state) {
    case 'waiting':
      return { state, url: `http://192.168.178.20:3030/pair#${'Tillbell'.repeat(8)}` };
    case 'opened':
      return { state };
    case 'trying':
      return { state, number };
    case 'confirm':
      return { state, number, wallet: 'Beans & Brew', server: 'https://pay.example.com' };
    case 'ended':
      return { state, sentence: said('No phone has sent a wallet within ten minutes: begin again.') };
  }
}

export function asking(letters = 'KXQM', address = '192.168.1.7'): AskingLine {
  return { letters, address };
}

export function displayLine(change: Partial<DisplayLine> = {}): DisplayLine {
  return {
    name: 'Tablet',
    role: 'customer',
    connected: true,
    address: '192.168.1.30',
    last_seen: ago(0),
    visible: true,
    sound: true,
    rings: true,
    awake: true,
    ...change,
  };
}

/** One that is connected, one that needs a hand, one that is away, one that never came, and a program. */
export function displayLines(): DisplayLine[] {
  const unsaid = { visible: null, sound: null, awake: null, rings: false };
  const away = { connected: false, ...unsaid };
  return [
    displayLine(),
    displayLine({ name: 'Window', address: '192.168.1.31', visible: false, sound: false, awake: false }),
    displayLine({
      ...away,
      name: 'The old phone behind the bar',
      address: '192.168.1.32',
      last_seen: ago(47),
    }),
    displayLine({ ...away, name: 'Office', role: 'operator', address: null, last_seen: null }),
    displayLine({ ...unsaid, name: 'Till', role: 'program', address: '127.0.0.1' }),
  ];
}

/** What its owner sees of a display that was added. */
export function newDisplay(role: DisplayRole = 'customer', name = 'display 3'): NewDisplay {
  const secret = 'Tillbell'.repeat(8);
  const base = role === 'operator' ? 'http://127.0.0.1:7878' : 'http://192.168.178.20:7878';
  return role === 'program'
    ? { added: { name, role, link: null, token: secret }, code: null }
    : { added: { name, role, link: `${base}/join#${secret}`, token: null }, code: drawnCode };
}

export const scenes = {
  join: (letters = 'KXQM'): Scene => ({ name: 'join', letters }),
  welcome: (
    progress: PairingProgress | null = null,
    canLeave = false,
    phone: PhoneView | null = null,
  ): Scene => ({ name: 'welcome', progress, canLeave, phone }),
  /** A phone pairs, and is so far. */
  phone: (state: PhoneView['state'], progress: PairingProgress | null = null): Scene =>
    scenes.welcome(progress, false, phone(state)),
  idle: (): Scene => ({
    name: 'idle',
    payCode: 1,
    last: {
      method: 'lightning',
      amountMsat: 4_200_000,
      fiat: null,
      memo: 'Two flat whites',
      verdict: 'verified',
      at: ago(12),
    },
    pending: [],
  }),
  checking: (): Scene => ({ name: 'checking' }),
  paid: (change: Partial<Paid> = {}): Scene => ({ name: 'paid', ...paid(change) }),
  catchUp,
};

export function display(scene: Scene, change: Partial<Display> = {}): Display {
  const { link = live, shop = 'Beans & Brew' } = change;
  return {
    revision: 1,
    scene,
    link,
    role: 'operator',
    wallets: shop === null ? [] : [{ name: shop, link }],
    moreWallets: 0,
    unreliable: null,
    sound: 'on',
    demo: false,
    notices: [],
    theme: 'auto',
    shop,
    ...change,
  };
}
