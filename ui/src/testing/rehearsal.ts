import { flushSync, mount, unmount } from 'svelte';
import { onTestFinished, vi } from 'vitest';
import App from '../App.svelte';
import type { Display } from '../host/generated/Display';
import type { PairedWallet } from '../host/generated/PairedWallet';
import type { SettingsView } from '../host/generated/SettingsView';
import { drawnCode, newDisplay, said } from '../host/samples';
import type { Host } from '../host/types';
import { keepTime } from '../lib/now.svelte';
import { Screen } from '../lib/screen.svelte';

export const settingsView: SettingsView = {
  volume: 80,
  chime: 'counter bell',
  chimes: ['counter bell', 'glass'],
  theme: 'auto',
  payCode: '',
  payCodeModules: null,
  announceCard: true,
  announceCash: true,
  networkScreens: false,
  wallets: [{ name: 'Beans & Brew', server: 'https://pay.example.com', keyPlace: 'keyring' }],
  file: '/home/shop/settings.toml',
};

export function pairedWallets(...names: string[]): PairedWallet[] {
  return names.map((name) => ({
    name,
    server: `https://${name.toLowerCase()}.example.com`,
    keyPlace: 'keyring',
  }));
}

/** A host that takes every request and does nothing; tests look at what it was asked. */
export function silentHost() {
  return {
    subscribe: vi.fn<Host['subscribe']>(async () => {}),
    painted: vi.fn<Host['painted']>(async () => {}),
    heartbeat: vi.fn<Host['heartbeat']>(async () => {}),
    flashLayout: vi.fn<Host['flashLayout']>(async () => {}),
    payCode: vi.fn<Host['payCode']>(async () => drawnCode),
    previewPairing: vi.fn<Host['previewPairing']>(async () => ({
      server: 'https://pay.example.com',
      kind: said('an address'),
      name: null,
      needsKey: false,
      insecure: false,
      remarks: [],
    })),
    pair: vi.fn<Host['pair']>(async () => {}),
    cancelPairing: vi.fn<Host['cancelPairing']>(async () => {}),
    pairByPhone: vi.fn<Host['pairByPhone']>(async () => {}),
    phoneCode: vi.fn<Host['phoneCode']>(async () => drawnCode),
    confirmPairing: vi.fn<Host['confirmPairing']>(async () => {}),
    openWelcome: vi.fn<Host['openWelcome']>(async () => {}),
    leaveWelcome: vi.fn<Host['leaveWelcome']>(async () => {}),
    tryDemo: vi.fn<Host['tryDemo']>(async () => {}),
    settings: vi.fn<Host['settings']>(async () => settingsView),
    changeSettings: vi.fn<Host['changeSettings']>(async (form) => ({ ...settingsView, ...form })),
    unpair: vi.fn<Host['unpair']>(async (name) => ({
      ...settingsView,
      wallets: settingsView.wallets.filter((wallet) => wallet.name !== name),
    })),
    renameWallet: vi.fn<Host['renameWallet']>(async (name, to) => ({
      ...settingsView,
      wallets: settingsView.wallets.map((wallet) =>
        wallet.name === name ? { ...wallet, name: to } : wallet,
      ),
    })),
    testRing: vi.fn<Host['testRing']>(async () => {}),
    displays: vi.fn<Host['displays']>(async () => ({ displays: [], asking: [] })),
    addDisplay: vi.fn<Host['addDisplay']>(async (role) => newDisplay(role)),
    allowDisplay: vi.fn<Host['allowDisplay']>(async () => 'display 3'),
    revokeDisplay: vi.fn<Host['revokeDisplay']>(async () => {}),
    soundDisplay: vi.fn<Host['soundDisplay']>(async () => {}),
    dismissNotice: vi.fn<Host['dismissNotice']>(async () => {}),
    dismissShowing: vi.fn<Host['dismissShowing']>(async () => {}),
    toggleFullScreen: vi.fn<Host['toggleFullScreen']>(async () => {}),
  } satisfies Host;
}

/** The whole display in a test's document, until the test ends. */
export function rehearse(first?: Display) {
  const host = silentHost();
  const screen = new Screen(host);
  const stopTime = keepTime();
  const app = mount(App, { target: document.body, props: { host, screen } });
  onTestFinished(async () => {
    stopTime();
    await unmount(app);
    document.body.replaceChildren();
  });
  let revision = 0;
  const draw = (display: Display) => {
    revision += 1;
    screen.draw({ ...display, revision });
  };
  if (first) draw(first);
  return { host, screen, draw };
}

export function role(name: string): HTMLElement | null {
  return document.querySelector<HTMLElement>(`[data-role="${name}"]`);
}

/** The part with this role, which must be there. */
export function part(name: string): HTMLElement {
  const found = role(name);
  if (found === null) throw new Error(`nothing has the role "${name}"`);
  return found;
}

/** Every part with this role. */
export function parts(name: string): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>(`[data-role="${name}"]`)];
}

/** What is written, with every kind of space made plain. */
export function text(name: string): string {
  return plain(part(name));
}

export function plain(element: Element): string {
  return (element.textContent ?? '').replace(/\s+/g, ' ').trim();
}

export function press(key: string, options: KeyboardEventInit = {}, target: EventTarget = document.body) {
  target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...options }));
  flushSync();
}

export function click(name: string) {
  part(name).click();
  flushSync();
}

export function type(name: string, value: string) {
  const field = part(name) as HTMLInputElement | HTMLTextAreaElement;
  field.value = value;
  field.dispatchEvent(new Event('input', { bubbles: true }));
  flushSync();
}

/** Lets answers that are ready arrive. */
export async function settle() {
  await vi.advanceTimersByTimeAsync(0);
  flushSync();
}
