import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { LinkView } from '../host/generated/LinkView';
import { display, live, lost, said, scenes, wallets } from '../host/samples';
import {
  click,
  pairedWallets,
  part,
  parts,
  plain,
  press,
  rehearse,
  role,
  settingsView,
  settle,
  text,
  type,
} from '../testing/rehearsal';

beforeEach(() => {
  vi.useFakeTimers({ now: new Date(2026, 10, 24, 14, 30) });
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

/** So many wallets, some of them with another link. */
function heard(count: number, other: Record<string, LinkView> = {}) {
  return wallets(count).map((wallet) => ({ ...wallet, link: other[wallet.name] ?? wallet.link }));
}

const names = (name: string) => parts(name).map((it) => it.dataset.wallet);

describe('idle with one wallet', () => {
  it('says how it is heard and does not name it', () => {
    rehearse(display(scenes.idle(), { link: { ...live, state: 'down' } }));
    expect(text('link-state')).toBe('not connected');
    expect(role('wallet-state')).toBeNull();
    expect(role('wallet-down')).toBeNull();
  });
});

describe('idle with several wallets', () => {
  it('shows a state for each', () => {
    rehearse(display(scenes.idle(), { wallets: heard(3, { Terrace: { ...live, state: 'polling' } }) }));
    expect(parts('wallet-state').map((it) => [it.dataset.wallet, it.dataset.state, plain(it)])).toEqual([
      ['Counter', 'live', 'Counter listening'],
      ['Bar', 'live', 'Bar listening'],
      ['Terrace', 'polling', 'Terrace asking every few seconds'],
    ]);
    expect(role('link-state')).toBeNull();
    expect(role('wallet-down')).toBeNull();
    expect(role('wallets-unlisted')).toBeNull();
  });

  it('shows as many as there is room for, and counts the others', () => {
    rehearse(display(scenes.idle(), { wallets: heard(6), moreWallets: 6 }));
    expect(names('wallet-state')).toEqual(['Counter', 'Bar', 'Terrace', 'Market stall', 'Catering']);
    expect(text('wallets-unlisted')).toBe('and 7 more');
  });

  it('names the one that is down and keeps the pay code', async () => {
    rehearse(display(scenes.idle(), { wallets: heard(3, { Bar: lost(27, 'The server is silent.') }) }));
    await settle();
    expect(text('wallet-down')).toBe(
      'Bar: not connected since 14:03. Its payments do not show here. The server is silent.',
    );
    expect(names('wallet-down')).toEqual(['Bar']);
    expect(role('pay-code')).not.toBeNull();
    expect(role('last-payment')).not.toBeNull();
    expect(role('untrusted')).toBeNull();
    expect(document.documentElement.dataset.scene).toBe('idle');
  });

  it('names one that has only just gone down, without a time', () => {
    rehearse(display(scenes.idle(), { wallets: heard(2, { Bar: { ...live, state: 'down' } }) }));
    expect(text('wallet-down')).toBe('Bar: not connected. Its payments do not show here.');
  });

  it('names each of many that are down', () => {
    const down = { Bar: lost(27), Terrace: lost(5), Catering: lost(1) };
    rehearse(display(scenes.idle(), { wallets: heard(6, down) }));
    expect(names('wallet-down')).toEqual(['Bar', 'Terrace', 'Catering']);
    expect(document.body.textContent?.replace(/\s+/g, ' ')).toContain('Not heard either: Terrace, Catering.');
  });

  it('shows names as text, never as markup', () => {
    const link = lost(27, '<b>silent</b>');
    rehearse(display(scenes.idle(), { wallets: [...heard(1), { name: '<img src=x>', link }] }));
    expect(text('wallet-down')).toContain('<img src=x>: not connected');
    expect(document.querySelector('img, b')).toBeNull();
  });

  it('holds out against two of one name', () => {
    rehearse(display(scenes.idle(), { wallets: [...heard(2), ...heard(2)] }));
    expect(names('wallet-state')).toEqual(['Counter', 'Bar', 'Counter', 'Bar']);
  });
});

describe('an unreliable screen with several wallets', () => {
  const unreliable = {
    since: new Date(2026, 10, 24, 14, 3).toISOString(),
    detail: said('The disk is full.'),
  };

  it('says that payments cannot be relied on', () => {
    rehearse(display(scenes.idle(), { unreliable, wallets: heard(3, { Bar: lost(27) }) }));
    expect(text('untrusted')).toContain('Payments cannot be relied on since 14:03');
    expect(text('detail')).toBe('The disk is full.');
    expect(role('pay-code')).toBeNull();
  });

  it('says "not connected" when none of them is', () => {
    rehearse(display(scenes.idle(), { unreliable, wallets: heard(2, { Bar: lost(27), Counter: lost(9) }) }));
    expect(text('untrusted')).toContain('Not connected since 14:03');
  });
});

describe('a payment', () => {
  it('names its wallet, on the screen and aloud', () => {
    rehearse(display(scenes.paid({ wallet: 'Bar' })));
    expect(text('wallet')).toBe('Bar');
    expect(text('spoken')).toBe('Paid: 1,000 sats, in Bar, Coffee, confirmed by the wallet');
  });

  it('names none where there is only one', () => {
    rehearse(display(scenes.paid()));
    expect(role('wallet')).toBeNull();
  });
});

describe('a catch-up', () => {
  it('names the wallets, line by line and aloud', () => {
    rehearse(display(scenes.catchUp(3, wallets(2))));
    expect(parts('item-wallet').map(plain)).toEqual(['Counter', 'Bar', 'Counter']);
    expect(text('spoken')).toBe(
      '3 payments while this display was away, 22,850 sats together, in Counter, Bar',
    );
  });

  it('names none where there is only one', () => {
    rehearse(display(scenes.catchUp(3)));
    expect(role('item-wallet')).toBeNull();
    expect(text('spoken')).toBe('3 payments while this display was away, 22,850 sats together');
  });
});

describe('the settings of several wallets', () => {
  const open = async (...paired: string[]) => {
    const stage = rehearse(display(scenes.idle()));
    const view = (...left: string[]) => ({ ...settingsView, wallets: pairedWallets(...left) });
    stage.host.settings.mockResolvedValue(view(...paired));
    press('s');
    await settle();
    return { ...stage, view };
  };
  const button = (what: string, wallet: string) => {
    const found = parts(what).find((it) => it.dataset.wallet === wallet);
    if (found === undefined) throw new Error(`nothing has the role "${what}" for ${wallet}`);
    return found;
  };
  const tap = async (what: string, wallet: string) => {
    button(what, wallet).click();
    await settle();
  };
  const field = () => part('rename-field') as HTMLInputElement;

  it('list each with its server and where its key is', async () => {
    await open('Counter', 'Bar');
    expect(parts('paired-wallet').map((it) => it.dataset.wallet)).toEqual(['Counter', 'Bar']);
    expect(parts('wallet-server').map(plain)).toEqual([
      'https://counter.example.com',
      'https://bar.example.com',
    ]);
    expect(text('wallet-key')).toBe('invoice key in this desktop’s keyring');
    expect(text('settings')).toContain('to pay into “Counter”');
  });

  it('add one by pairing it', async () => {
    const { host } = await open('Counter');
    expect(text('pair-another')).toBe('Add a wallet');
    click('pair-another');
    expect(host.openWelcome).toHaveBeenCalledTimes(1);
  });

  it('rename one, and give the focus back to its button', async () => {
    const { host, view } = await open('Counter', 'Bar');
    host.renameWallet.mockResolvedValue(view('Counter', 'Terrace'));
    await tap('rename', 'Bar');
    expect(document.activeElement).toBe(field());
    expect([field().selectionStart, field().selectionEnd]).toEqual([0, 3]);
    type('rename-field', '  Terrace ');
    click('rename-save');
    await settle();
    expect(host.renameWallet).toHaveBeenCalledExactlyOnceWith('Bar', 'Terrace');
    expect(role('rename-field')).toBeNull();
    expect(parts('wallet-name').map(plain)).toEqual(['Counter', 'Terrace']);
    expect(document.activeElement).toBe(button('rename', 'Terrace'));
  });

  it('do not take an empty name or one that is too long', async () => {
    const { host } = await open('Counter', 'Bar');
    await tap('rename', 'Bar');
    for (const [name, why] of [
      ['   ', 'A wallet needs a name.'],
      ['x'.repeat(65), 'A name has at most 64 characters.'],
    ] as const) {
      type('rename-field', name);
      click('rename-save');
      expect(text('wallet-refused')).toBe(why);
    }
    expect(field().value).toBe('x'.repeat(65));
    expect(host.renameWallet).not.toHaveBeenCalled();
  });

  it('ask nothing of the host when the name stays', async () => {
    const { host } = await open('Counter', 'Bar');
    await tap('rename', 'Bar');
    click('rename-save');
    await settle();
    expect(host.renameWallet).not.toHaveBeenCalled();
    expect(role('rename-field')).toBeNull();
  });

  it('show beside the field why a name was refused', async () => {
    const { host } = await open('Counter', 'Bar');
    host.renameWallet.mockRejectedValue('There is a wallet named “Counter” already.');
    await tap('rename', 'Bar');
    type('rename-field', 'Counter');
    click('rename-save');
    await settle();
    expect(text('wallet-refused')).toBe('There is a wallet named “Counter” already.');
    expect(field().value).toBe('Counter');
  });

  it('keep the old name on Escape, and stay open', async () => {
    const { host } = await open('Counter', 'Bar');
    await tap('rename', 'Bar');
    type('rename-field', 'Terrace');
    press('Escape', { isComposing: true }, field());
    expect(role('rename-field')).not.toBeNull();
    press('Escape', {}, field());
    await settle();
    expect(role('rename-field')).toBeNull();
    expect(host.renameWallet).not.toHaveBeenCalled();
    expect(document.activeElement).toBe(button('rename', 'Bar'));
    expect(role('settings')).not.toBeNull();
  });

  it('keep a name half typed while a payment covers them', async () => {
    const { draw } = await open('Counter', 'Bar');
    await tap('rename', 'Bar');
    type('rename-field', 'Terr');
    draw(display(scenes.paid()));
    expect(role('rename-field')).toBeNull();
    draw(display(scenes.idle()));
    expect(field().value).toBe('Terr');
    expect(document.activeElement).toBe(field());
  });

  it('remove the one that was asked about, and leave the focus in the list', async () => {
    const { host, view } = await open('Counter', 'Bar');
    host.unpair.mockResolvedValue(view('Counter'));
    await tap('unpair', 'Bar');
    expect(part('unpair-question').dataset.wallet).toBe('Bar');
    expect(text('unpair-question')).toContain('Remove “Bar”?');
    expect(text('unpair-question')).toContain('its payments no longer ring or show here');
    expect(document.activeElement).toBe(part('unpair-question'));
    await tap('unpair-really', 'Bar');
    expect(host.unpair).toHaveBeenCalledExactlyOnceWith('Bar');
    expect(parts('wallet-name').map(plain)).toEqual(['Counter']);
    expect(document.activeElement?.textContent).toBe('Wallet');
  });

  it('remove it once, however often somebody taps', async () => {
    const { host, view } = await open('Counter', 'Bar');
    host.unpair.mockResolvedValue(view('Counter'));
    await tap('unpair', 'Bar');
    click('unpair-really');
    click('unpair-really');
    await settle();
    expect(host.unpair).toHaveBeenCalledTimes(1);
  });

  it('keep it when somebody thinks better of it', async () => {
    const { host } = await open('Counter', 'Bar');
    await tap('unpair', 'Bar');
    click('unpair-not');
    await settle();
    expect(role('unpair-question')).toBeNull();
    expect(document.activeElement).toBe(button('unpair', 'Bar'));
    expect(host.unpair).not.toHaveBeenCalled();
  });

  it('say in the question why it was not removed', async () => {
    const { host } = await open('Counter', 'Bar');
    host.unpair.mockRejectedValue('The pairings cannot be written.');
    await tap('unpair', 'Bar');
    click('unpair-really');
    await settle();
    expect(text('unpair-question')).toContain('The pairings cannot be written.');
  });

  it('say of the last one that the display then hears nothing', async () => {
    await open('Counter');
    await tap('unpair', 'Counter');
    expect(text('unpair-question')).toContain('the display hears no more payments');
  });
});
