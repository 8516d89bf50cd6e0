import type { Display } from '../host/generated/Display';
import type { LinkState } from '../host/generated/LinkState';
import type { LinkView } from '../host/generated/LinkView';
import type { NoticeWeight } from '../host/generated/NoticeWeight';
import type { Paid } from '../host/generated/Paid';
import type { PayCode } from '../host/generated/PayCode';
import type { PhoneView } from '../host/generated/PhoneView';
import type { Scene } from '../host/generated/Scene';
import type { SettingsView } from '../host/generated/SettingsView';
import type { SoundView } from '../host/generated/SoundView';
import type { Theme } from '../host/generated/Theme';
import {
  asking,
  catchUp,
  display,
  displayLine,
  displayLines,
  drawnCode,
  failure,
  lost,
  memos,
  more,
  newDisplay,
  phone,
  progressAt,
  said,
  scenes,
  success,
  wallets,
} from '../host/samples';
import type { Displays, Host } from '../host/types';

/**
 * A host that is none: it rehearses the picture that the address asks for, and answers requests with pretence.
 *
 * `?scene=join|welcome|idle|checking|paid|catch-up`, `theme=`, `link=`, `detail=`, `sound=muted|missing|blocked`, `shop=`, `demo`,
 * `customer`, `unreliable`, `wallets=` (how many), `down=` (how many of them, the last ones), `notice=` (repeatable; `!` in front
 * for a warning); `paid`: `msat=`, `memo=` (a text or a sample's name), `comment=`, `wallet=`, `reported`, `late`,
 * `more=`, `method=card|cash|other`, `eur=1.50`; `idle`: `bare` (no pay code), `modules=` (of the pay code's side), `fresh` (no last payment), `pending=` (how many),
 * `method=` and `eur=` (of the last payment); `catch-up`: `count=`, `mixed` (by card and in cash, too);
 * `settings` opens them: `network=on|off|served`, `asking=` (how many screens), `alone` (no displays);
 * `welcome`: `progress=0…4|failed|paired`, `phone=waiting|opened|trying|confirm|ended`, `can-leave`; `join`: `letters=`, always for customers. `play=MS` rings a payment each so many milliseconds; the
 * console says how long each took to the glass.
 */
const query = new URLSearchParams(location.search);
const flag = (name: string) => query.has(name);
const word = <T extends string>(name: string, otherwise: T) => (query.get(name) ?? otherwise) as T;
const count = (name: string, otherwise: number) => Number(query.get(name) ?? otherwise);

const shop = word('shop', 'Beans & Brew');
const unreliable = flag('unreliable');

const detail = () => {
  const text = query.get('detail');
  return text === null ? null : said(text);
};

/** One wallet is called what the shop is called. */
const paired = count('wallets', 1) > 1 ? wallets(count('wallets', 1)) : [{ name: shop, link: link() }];
for (const wallet of paired.slice(paired.length - count('down', unreliable ? paired.length : 0))) {
  wallet.link = lost(17, query.get('detail'));
}

function link(): LinkView {
  if (unreliable) return { ...lost(17, query.get('detail')), state: word<LinkState>('link', 'down') };
  return { state: word<LinkState>('link', 'live'), detail: detail(), untrustedSince: null };
}

function howPaid(): Pick<Paid, 'method' | 'fiat'> {
  const amount = query.get('eur');
  return {
    method: word<Paid['method']>('method', 'lightning'),
    fiat: amount === null ? null : { currency: 'EUR', amount },
  };
}

function pretendedPhone(): PhoneView | null {
  const state = query.get('phone') as PhoneView['state'] | null;
  if (state === null) return null;
  const view = phone(state);
  if (view.state === 'confirm') Object.assign(view, { wallet: word('wallet', view.wallet) });
  return view;
}

function scene(): Scene {
  switch (query.get('scene')) {
    case 'join':
      return scenes.join(query.get('letters') ?? undefined);
    case 'welcome': {
      const at = query.get('progress');
      const progress =
        at === null
          ? null
          : at === 'failed'
            ? failure()
            : at === 'paired'
              ? success()
              : progressAt(Number(at));
      return scenes.welcome(progress, flag('can-leave'), pretendedPhone());
    }
    case 'checking':
      return scenes.checking();
    case 'catch-up':
      return catchUp(count('count', 3), paired.length > 1 ? paired : [], flag('mixed'));
    case 'paid': {
      const memo = word('memo', 'short');
      return scenes.paid({
        ...howPaid(),
        amountMsat: count('msat', 1_000_000),
        memo: memos[memo] ?? memo,
        comment: query.get('comment'),
        wallet: query.get('wallet'),
        verdict: flag('reported') ? 'reported' : 'verified',
        kind: flag('late') ? 'late' : 'live',
        more: flag('more') ? more(count('more', 3)) : null,
      });
    }
    default: {
      const idle = scenes.idle();
      if (idle.name !== 'idle') return idle;
      if (flag('bare')) idle.payCode = null;
      if (flag('fresh')) idle.last = null;
      if (idle.last) idle.last = { ...idle.last, ...howPaid() };
      idle.pending = [
        { amountMsat: 1_000_000, memo: 'Coffee' },
        { amountMsat: 21_000_000_000, memo: memos.long ?? '' },
        { amountMsat: 1_500, memo: '' },
      ].slice(0, count('pending', 0));
      return idle;
    }
  }
}

let picture: Display = display(scene(), {
  theme: word<Theme>('theme', 'auto'),
  link: link(),
  wallets: paired,
  unreliable: unreliable ? { since: lost(17).untrustedSince ?? '', detail: detail() } : null,
  sound: word<SoundView>('sound', 'on'),
  role: flag('customer') || query.get('scene') === 'join' ? 'customer' : 'operator',
  demo: flag('demo'),
  shop,
  notices: query.getAll('notice').map((text, i) => ({
    id: i + 1,
    sentence: said(text.replace(/^!/, '')),
    weight: (text.startsWith('!') ? 'warning' : 'note') satisfies NoticeWeight,
  })),
});

const modules = count('modules', drawnCode.modules);

/** Squares at random, to see how a code of so many modules looks. */
function squares(modules: number): PayCode {
  let path = '';
  for (let at = 0; at < modules * modules; at++) {
    if (Math.random() < 0.5) path += `M${at % modules} ${Math.floor(at / modules)}h1v1h-1z`;
  }
  return { ...drawnCode, modules, path };
}

/** Screens in this network: `network=on|off|served`, where a service decides. */
function network(): boolean | null {
  const said = query.get('network');
  return said === 'served' ? null : said !== 'off';
}

let screens: Displays = {
  displays: flag('alone') ? [] : displayLines(),
  asking: [asking(), asking('TBHR', '192.168.1.8')].slice(0, count('asking', 1)),
};

/** What an address in a network at home and its secret take. */
const phoneModules = 41;

let pretended: SettingsView = {
  volume: 80,
  chime: 'counter bell',
  chimes: ['counter bell', 'two notes', 'glass', 'marimba'],
  theme: picture.theme,
  payCode: 'beans@tillbell.example',
  payCodeModules: modules,
  announceCard: true,
  announceCash: true,
  networkScreens: network(),
  wallets: paired.map(({ name }, i) => ({
    name,
    server: i % 3 === 2 ? 'https://lnbits.a-rather-long-name.example.org:8443' : 'https://pay.example.com',
    keyPlace: i % 4 === 3 ? null : 'keyring',
  })),
  file: '/home/shop/.config/tillbell/settings.toml',
};

let draw: (display: Display) => void = () => {};
let drawnAt = 0;
let attempt: ReturnType<typeof setTimeout> | undefined;

function show(change: Partial<Display>) {
  picture = { ...picture, ...change, revision: picture.revision + 1 };
  drawnAt = performance.now();
  draw(picture);
}

/** A payment, and the calm screen after it. */
function play() {
  if (picture.scene.name === 'paid') return show({ scene: scenes.idle() });
  show({ scene: scenes.paid({ showing: picture.revision, amountMsat: picture.revision * 1_000_000 }) });
}

/** A pairing that goes well, a step each second. */
function pretendToPair(step: number) {
  show({ scene: scenes.welcome(step < 5 ? progressAt(step) : success()) });
  attempt = setTimeout(() => (step < 5 ? pretendToPair(step + 1) : show({ scene: scenes.idle() })), 1_000);
}

/** A phone that pairs, from its code to the question. */
function pretendPhone(step: number) {
  const went: Scene[] = [
    scenes.phone('waiting'),
    scenes.phone('opened'),
    ...[0, 1, 2, 3].map((at) => scenes.phone('trying', progressAt(at))),
    scenes.phone('confirm', progressAt(4)),
  ];
  const scene = went[step];
  if (scene === undefined) return;
  show({ scene });
  attempt = setTimeout(() => pretendPhone(step + 1), step < 2 ? 3_000 : 1_000);
}

export const host: Host = {
  async subscribe(drawPicture) {
    draw = drawPicture;
    draw(picture);
    if (flag('play')) setInterval(play, count('play', 3_000));
    if (flag('settings')) dispatchEvent(new KeyboardEvent('keydown', { key: 's' }));
  },
  async painted(showing) {
    console.info(`showing ${showing} was on the glass after ${(performance.now() - drawnAt).toFixed(1)} ms`);
  },
  async heartbeat() {},
  async flashLayout() {},
  async payCode() {
    return modules === drawnCode.modules ? drawnCode : squares(modules);
  },

  async previewPairing(text) {
    const server = /https?:\/\/[^/]+/.exec(text)?.[0];
    if (server === undefined) throw 'This is no pairing yet: paste the address of your wallet’s page.';
    const hub = text.startsWith('lndhub:');
    return {
      server,
      kind: said(hub ? 'an LndHub address' : 'a wallet page’s address'),
      name: null,
      needsKey: !hub,
      insecure: server.startsWith('http:'),
      remarks: text.includes('usr=') ? [said('The password in this address was dropped.')] : [],
    };
  },
  async pair() {
    pretendToPair(0);
  },
  async cancelPairing() {
    clearTimeout(attempt);
    show({ scene: scenes.welcome() });
  },
  async pairByPhone() {
    pretendPhone(0);
  },
  async phoneCode() {
    return squares(phoneModules);
  },
  async confirmPairing() {
    pretendToPair(4);
  },
  async openWelcome() {
    show({ scene: scenes.welcome(null, true) });
  },
  async leaveWelcome() {
    show({ scene: scenes.idle() });
  },
  async tryDemo() {
    show({ scene: scenes.idle(), demo: true });
  },

  async settings() {
    return pretended;
  },
  async changeSettings(form) {
    if (form.payCode?.startsWith('lnurlw:'))
      throw 'This pay code pays your customer: whoever scans it takes money from you. Use one that receives: a Lightning address, an LNURL-pay link or an offer.';
    pretended = { ...pretended, ...form };
    show({ theme: pretended.theme });
    return pretended;
  },
  async unpair(name) {
    pretended = { ...pretended, wallets: pretended.wallets.filter((wallet) => wallet.name !== name) };
    const left = picture.wallets.filter((wallet) => wallet.name !== name);
    show(left.length > 0 ? { wallets: left } : { wallets: [], scene: scenes.welcome(), shop: null });
    return pretended;
  },
  async renameWallet(name, to) {
    if (pretended.wallets.some((wallet) => wallet.name === to))
      throw `There is a wallet named “${to}” already.`;
    const renamed = <T extends { name: string }>(wallet: T) =>
      wallet.name === name ? { ...wallet, name: to } : wallet;
    pretended = { ...pretended, wallets: pretended.wallets.map(renamed) };
    show({ wallets: picture.wallets.map(renamed) });
    return pretended;
  },
  async testRing() {
    throw 'A browser that rehearses has no bell.';
  },

  async displays() {
    return screens;
  },
  async addDisplay(role, name) {
    const named = newDisplay(role, name ?? `display ${screens.displays.length + 1}`);
    if (screens.displays.some((line) => line.name === named.added.name))
      throw `Another display is called “${named.added.name}”: choose another name, or revoke that one first.`;
    const unseen = {
      connected: false,
      address: null,
      last_seen: null,
      visible: null,
      sound: null,
      awake: null,
    };
    screens = {
      ...screens,
      displays: [...screens.displays, { name: named.added.name, role, rings: false, ...unseen }],
    };
    return named.code === null ? named : { ...named, code: squares(phoneModules) };
  },
  async allowDisplay(letters) {
    const { address = null } = screens.asking.find((line) => line.letters === letters) ?? {};
    const name = `display ${screens.displays.length + 1}`;
    screens = {
      displays: [...screens.displays, displayLine({ name, address, rings: false })],
      asking: screens.asking.filter((line) => line.letters !== letters),
    };
    return name;
  },
  async revokeDisplay(name) {
    screens = { ...screens, displays: screens.displays.filter((line) => line.name !== name) };
  },
  async soundDisplay(name, on) {
    const displays = screens.displays.map((line) => (line.name === name ? { ...line, rings: on } : line));
    screens = { ...screens, displays };
  },

  async dismissNotice(id) {
    show({ notices: picture.notices.filter((notice) => notice.id !== id) });
  },
  async dismissShowing() {
    show({ scene: scenes.idle() });
  },
  async toggleFullScreen() {
    await (document.fullscreenElement
      ? document.exitFullscreen()
      : document.documentElement.requestFullscreen());
  },
};
