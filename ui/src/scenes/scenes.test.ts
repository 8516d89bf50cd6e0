import { flushSync } from 'svelte';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { LinkState } from '../host/generated/LinkState';
import type { Scene } from '../host/generated/Scene';
import {
  display,
  drawnCode,
  failure,
  live,
  lost,
  memos,
  more,
  paid,
  progressAt,
  said,
  scenes,
  success,
} from '../host/samples';
import {
  click,
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

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
const unreliable = (state: LinkState = 'down') => ({
  link: { ...lost(27), state },
  unreliable: { since: minutesAgo(27), detail: said('The server is silent.') },
});

describe('idle', () => {
  it('shows shop, pay code, clock, last payment and link', async () => {
    const { host } = rehearse(display(scenes.idle()));
    await settle();
    expect(host.payCode.mock.calls).toEqual([[1]]);
    expect(text('shop')).toBe('Beans & Brew');
    expect(part('pay-code').querySelector('path')?.getAttribute('d')).toMatch(/^M0 0h7/);
    expect(part('pay-code').querySelector('svg')?.getAttribute('viewBox')).toBe('-4 -4 33 33');
    expect(text('clock')).toBe('14:30');
    expect(text('last-payment')).toContain('4,200 sats');
    expect(text('age')).toBe('12 min ago');
    expect(text('link-state')).toBe('listening');
  });

  it('draws a code of many modules over the whole height, and says it where even that is too fine', async () => {
    const idle = async (modules: number, role: 'operator' | 'customer' = 'operator') => {
      document.body.replaceChildren();
      const stage = rehearse();
      stage.host.payCode.mockImplementation(async (id) => ({ ...drawnCode, modules, text: `code ${id}` }));
      const scene = { ...scenes.idle(), payCode: modules };
      stage.draw(display(scene as Scene, { role }));
      await settle();
      return stage;
    };
    // The tests' window has 1024 × 768 pixels.
    await idle(25);
    expect(part('pay-code').className).not.toContain('large');
    expect(text('pay-code')).toContain('code 25');
    await idle(153);
    expect(part('pay-code').className).toContain('large');
    expect(role('notice')).toBeNull();
    const { host } = await idle(250);
    expect(text('notice')).toContain('too small to be scanned');
    click('put-away');
    expect(role('notice')).toBeNull();
    expect(host.dismissNotice).not.toHaveBeenCalled();
    await idle(251, 'customer');
    expect(role('notice')).toBeNull();
  });

  it.each([
    ['connecting', 'connecting…'],
    ['live', 'listening'],
    ['polling', 'asking every few seconds'],
    ['down', 'not connected'],
  ] as const)('says of a %s link: %s', (state, words) => {
    rehearse(display(scenes.idle(), { link: { ...live, state } }));
    expect(text('link-state')).toBe(words);
  });

  it('tells the time and the age anew each full minute', async () => {
    rehearse(display(scenes.idle()));
    await vi.advanceTimersByTimeAsync(59_999);
    expect(text('clock')).toBe('14:30');
    await vi.advanceTimersByTimeAsync(1);
    flushSync();
    expect(text('clock')).toBe('14:31');
    expect(text('age')).toBe('13 min ago');
    expect(vi.getTimerCount()).toBe(1);
  });

  it('names invoices that wait', () => {
    const waiting = { ...scenes.idle(), pending: [{ amountMsat: 1_000_000, memo: 'Coffee' }] };
    rehearse(display(waiting as ReturnType<typeof scenes.idle>));
    expect(text('pending')).toBe('waiting for 1,000 sats · Coffee');
  });

  it('says when there is no sound, and nothing while there is', () => {
    const { draw } = rehearse(display(scenes.idle()));
    expect(role('sound')).toBeNull();
    draw(display(scenes.idle(), { sound: 'missing' }));
    expect(text('sound')).toBe('no sound');
    draw(display(scenes.idle(), { sound: 'muted' }));
    expect(text('sound')).toBe('muted');
  });

  it.each(['operator', 'customer'] as const)(
    'says on a display for the %s that the browser waits for a tap',
    (who) => {
      rehearse(display(scenes.idle(), { sound: 'blocked', role: who }));
      expect(text('sound')).toBe('Sound is off: tap');
      expect(part('sound').dataset.state).toBe('blocked');
    },
  );

  it('hands back a notice that is put away', () => {
    const { host } = rehearse(
      display(scenes.idle(), { notices: [{ id: 7, sentence: said('Act.'), weight: 'warning' }] }),
    );
    expect(text('notice')).toBe('Act.');
    click('put-away');
    expect(host.dismissNotice).toHaveBeenCalledExactlyOnceWith(7);
  });

  it('shows a warning instead of the pay code once it cannot be trusted', () => {
    rehearse(display(scenes.idle(), unreliable()));
    expect(document.documentElement.dataset.scene).toBe('unreliable');
    expect(role('pay-code')).toBeNull();
    expect(text('untrusted')).toContain('Not connected since 14:03');
    expect(text('untrusted')).toContain('Do not rely on this display');
    expect(text('detail')).toBe('The server is silent.');
  });

  it('does not say "not connected" when it is connected and still cannot be trusted', () => {
    rehearse(display(scenes.idle(), unreliable('live')));
    expect(text('untrusted')).toContain('Not reliable since');
  });

  it('nor when the key sees none of the payments, for connecting anew would not help', () => {
    const detail = { code: 'key-blind', args: {}, text: 'This key sees none of the payments.' };
    rehearse(
      display(scenes.idle(), {
        link: { ...lost(27), detail },
        unreliable: { since: minutesAgo(27), detail },
      }),
    );
    expect(text('untrusted')).toContain('Not reliable since 14:03');
    expect(text('detail')).toBe(detail.text);
  });
});

describe('for customers', () => {
  const customer = (scene: Parameters<typeof display>[0], change = {}) =>
    rehearse(display(scene, { role: 'customer', ...change }));
  const idle = { ...scenes.idle(), last: null } as ReturnType<typeof scenes.idle>;

  it('has the pay code and nothing that leads to the settings', async () => {
    const { host } = customer(idle);
    await settle();
    expect(document.documentElement.dataset.display).toBe('customer');
    expect(role('pay-code')).not.toBeNull();
    expect(role('settings-button')).toBeNull();
    press('s');
    press('F11');
    expect(role('settings')).toBeNull();
    expect(host.toggleFullScreen).not.toHaveBeenCalled();
    expect(document.body.textContent).not.toContain('Ready for the first payment');
  });

  it('shows nothing of a phone that pairs', () => {
    const { host } = customer(scenes.phone('confirm'));
    expect(role('phone')).toBeNull();
    expect(role('confirm')).toBeNull();
    expect(host.phoneCode).not.toHaveBeenCalled();
  });

  it('says that it is not paired, and offers no form', () => {
    customer(scenes.welcome());
    expect(text('not-paired')).toContain('not paired yet');
    expect(role('pairing')).toBeNull();
    expect(document.documentElement.dataset.scene).toBe('welcome');
  });

  it('tells a catch-up by its count alone', () => {
    customer({ ...scenes.catchUp(3), items: [], sums: [] });
    expect(text('count')).toBe('3');
    expect(role('total')).toBeNull();
    expect(role('item')).toBeNull();
    expect(text('spoken')).toBe('3 payments while this display was away');
  });

  it('says how many more there are, without their sum', () => {
    customer(scenes.paid({ more: { count: 3, sums: [] } }));
    expect(text('more')).toBe('+3 more');
  });

  it('says where to ask when it cannot be relied on', () => {
    customer(idle, { ...unreliable(), unreliable: { since: minutesAgo(27), detail: null } });
    expect(text('untrusted')).toContain('Ask at the counter');
    expect(role('settings-button')).toBeNull();
  });

  it('leads nowhere from the demo', () => {
    customer(scenes.idle(), { demo: true });
    expect(text('ribbon')).toContain('DEMO');
    expect(role('pair-your-wallet')).toBeNull();
  });
});

describe('join', () => {
  it('shows its letters, and what somebody has to type to allow them', () => {
    rehearse(display(scenes.join(), { role: 'customer', shop: null, wallets: [] }));
    expect(document.documentElement.dataset.scene).toBe('join');
    expect(document.querySelector('h1')?.textContent).toBe('Allow this screen');
    expect(text('letters')).toBe('KXQM');
    expect(document.querySelector('code')?.textContent).toBe('tillbell-headless displays allow KXQM');
    expect(document.body.textContent).toContain('These letters change when the page is loaded anew.');
    expect(role('notice')).toBeNull();
  });

  it('says what was wrong with a link, to be read for as long as it takes', () => {
    const used = { id: 1, sentence: said('This link was used already.'), weight: 'warning' as const };
    rehearse(display(scenes.join(), { role: 'customer', notices: [used] }));
    expect(text('notice')).toBe('This link was used already.');
    expect(role('put-away')).toBeNull();
  });

  it('gives way to the first picture once it is allowed', () => {
    const { draw } = rehearse(display(scenes.join(), { role: 'customer' }));
    draw(display(scenes.idle(), { role: 'customer' }));
    expect(role('letters')).toBeNull();
    expect(text('shop')).toBe('Beans & Brew');
  });
});

describe('checking', () => {
  it('asks for patience and shows no amount', () => {
    rehearse(display(scenes.checking()));
    expect(document.body.textContent).toContain('checking…');
    expect(role('amount')).toBeNull();
  });
});

describe('paid', () => {
  it('shows amount, memo and that the wallet confirmed it', () => {
    rehearse(display(scenes.paid()));
    expect(text('amount')).toBe('1,000 sats');
    expect(part('amount').dataset.msat).toBe('1000000');
    expect(text('memo')).toBe('Coffee');
    expect(text('verdict')).toBe('confirmed by the wallet');
    expect(role('late')).toBeNull();
    expect(role('more')).toBeNull();
  });

  it('looks and reads differently when the wallet did not confirm it', () => {
    rehearse(display(scenes.paid({ verdict: 'reported' })));
    expect(text('verdict')).toBe('not confirmed by the wallet');
    expect(part('verdict').dataset.verdict).toBe('reported');
    expect(document.documentElement.dataset.verdict).toBe('reported');
    expect(document.querySelector('h1')?.textContent).not.toContain('Paid');
  });

  it('says when a late one arrived', () => {
    rehearse(display(scenes.paid({ kind: 'late', at: minutesAgo(27) })));
    expect(text('late')).toBe('arrived at 14:03');
  });

  it('counts what waits behind it', () => {
    rehearse(display(scenes.paid({ more: more(3) })));
    expect(text('more')).toBe('+3 more · 4,500 sats');
  });

  it.each([
    ['card', 'Paid by card'],
    ['cash', 'Paid in cash'],
    ['other', 'Paid another way'],
  ] as const)('says %s in words, and the fiat amount first', (method, title) => {
    rehearse(display(scenes.paid({ method, fiat: { currency: 'EUR', amount: '1.50' } })));
    expect(text('method')).toBe(title);
    expect(part('method').dataset.method).toBe(method);
    expect(document.querySelector('.sum')?.textContent?.trim()).toBe('€1.50');
    expect(text('fiat')).toBe('€1.50');
    expect(part('amount').dataset.msat).toBe('1000000');
    expect(document.querySelector('.paid')?.textContent).toContain('worth 1,000');
    expect(text('spoken')).toBe(`${title}: €1.50, Coffee, confirmed by the wallet`);
  });

  it('says how it was paid where no fiat amount is known', () => {
    rehearse(display(scenes.paid({ method: 'card' })));
    expect(text('method')).toBe('Paid by card');
    expect(text('amount')).toBe('1,000 sats');
    expect(role('fiat')).toBeNull();
  });

  it('puts sats first for Lightning, whatever they are worth', () => {
    rehearse(display(scenes.paid({ fiat: { currency: 'EUR', amount: '0.63' } })));
    expect(text('method')).toBe('Paid');
    expect(part('method').dataset.method).toBe('lightning');
    expect(document.querySelector('.sum')?.textContent).toContain('1,000');
    expect(text('fiat')).toBe('€0.63');
  });

  it('tells customers the same', () => {
    const fiat = { currency: 'EUR', amount: '1.50' };
    rehearse(display(scenes.paid({ method: 'card', fiat }), { role: 'customer' }));
    expect(text('method')).toBe('Paid by card');
    expect(text('fiat')).toBe('€1.50');
  });

  it('shows a memo as text, never as markup', () => {
    rehearse(display(scenes.paid({ memo: memos.markup ?? '', comment: '<img src=x onerror=alert(1)>' })));
    expect(part('memo').textContent).toBe(memos.markup);
    expect(part('memo').children).toHaveLength(0);
    expect(part('comment').children).toHaveLength(0);
    expect(document.querySelector('script, img, b')).toBeNull();
  });

  it('lets a memo find its own direction', () => {
    rehearse(display(scenes.paid({ memo: memos.arabic ?? '' })));
    expect(part('memo').getAttribute('dir')).toBe('auto');
  });

  it('is spoken', () => {
    rehearse(display(scenes.paid()));
    expect(part('spoken').getAttribute('aria-live')).toBe('assertive');
    expect(text('spoken')).toBe('Paid: 1,000 sats, Coffee, confirmed by the wallet');
  });

  it('keeps a small warning while the screen cannot be trusted', () => {
    rehearse(display(scenes.paid(), unreliable()));
    expect(document.documentElement.dataset.scene).toBe('paid');
    expect(text('untrusted')).toContain('Not connected since');
    expect(text('amount')).toBe('1,000 sats');
  });

  it('keeps notices out of the flash', () => {
    rehearse(display(scenes.paid(), { notices: [{ id: 1, sentence: said('Act.'), weight: 'note' }] }));
    expect(role('notice')).toBeNull();
  });

  it('leaves what was there before in its place until it has been painted, and then takes it away', async () => {
    const { draw } = rehearse(display(scenes.idle()));
    draw(display(scenes.paid()));
    expect(part('clock').closest('.covered')).not.toBeNull();
    await vi.advanceTimersByTimeAsync(50);
    flushSync();
    expect(role('clock')).toBeNull();
    draw(display(scenes.idle()));
    expect(part('clock').closest('.covered')).toBeNull();
  });

  it('moves nothing before it has been painted, nor does the next one', async () => {
    const { draw } = rehearse(display(scenes.idle()));
    for (const showing of [1, 2]) {
      draw(display(scenes.paid({ showing })));
      expect(document.querySelector('.ringing, .ring')).toBeNull();
      await vi.advanceTimersByTimeAsync(50);
      flushSync();
      expect(document.querySelectorAll('.ringing .ring')).toHaveLength(2);
    }
  });

  it('has no part that anybody finds while it is not shown', () => {
    rehearse(display(scenes.idle()));
    const scene = document.querySelector('.paid');
    expect(scene?.querySelectorAll('[data-role]')).toHaveLength(0);
    expect(scene?.querySelectorAll('button')).toHaveLength(0);
  });

  it('is put away by a tap or a key', () => {
    const { host } = rehearse(display(scenes.paid({ showing: 9 })));
    vi.advanceTimersByTime(400);
    click('dismiss');
    press('Enter');
    expect(host.dismissShowing.mock.calls).toEqual([[9], [9]]);
  });

  it('is not put away by a key meant for what was there before', () => {
    const { host } = rehearse(display(scenes.paid()));
    vi.advanceTimersByTime(399);
    press('a');
    expect(host.dismissShowing).not.toHaveBeenCalled();
  });

  it('is not put away by keys that say nothing', () => {
    const { host } = rehearse(display(scenes.paid()));
    vi.advanceTimersByTime(1_000);
    for (const key of ['Shift', 'Tab', 'F5', 'CapsLock']) press(key);
    press('c', { ctrlKey: true });
    press('a', { repeat: true });
    expect(host.dismissShowing).not.toHaveBeenCalled();
  });
});

describe('catch-up', () => {
  it('shows count, total and list', () => {
    rehearse(display(scenes.catchUp(3)));
    expect(text('count')).toBe('3');
    expect(document.querySelector('h1')?.textContent).toContain('payments while this display was away');
    expect(part('total').dataset.msat).toBe('22850000');
    expect(text('total')).toBe('22,850 sats');
    expect(document.querySelectorAll('[data-role=item]')).toHaveLength(3);
  });

  it('adds up each method by itself', () => {
    rehearse(display(scenes.catchUp(3, [], true)));
    expect(parts('total').map(plain)).toEqual(['1,000 sats', '€2.50', '€3.50']);
    expect(parts('total').map((total) => [total.dataset.method, total.dataset.msat])).toEqual([
      ['lightning', '1000000'],
      ['card', '21500000'],
      ['cash', '350000'],
    ]);
    expect(parts('item-method').map(plain)).toEqual(['by card', 'in cash']);
    expect(text('spoken').replace(/\s/g, ' ')).toBe(
      '3 payments while this display was away, 1,000 sats with Lightning, €2.50 by card, €3.50 in cash',
    );
  });

  it('says how many it does not list', () => {
    rehearse(display(scenes.catchUp(40)));
    expect(text('count')).toBe('40');
    expect(text('unlisted')).toBe('and 34 more');
  });

  it('is put away by a tap', () => {
    const { host } = rehearse(display(scenes.catchUp(1)));
    vi.advanceTimersByTime(400);
    click('dismiss');
    expect(host.dismissShowing).toHaveBeenCalledExactlyOnceWith(1);
  });
});

describe('the demo ribbon', () => {
  it.each([
    ['idle', scenes.idle()],
    ['checking', scenes.checking()],
    ['paid', scenes.paid()],
    ['catch-up', scenes.catchUp()],
    ['welcome', scenes.welcome()],
  ])('is there in %s', (_, scene) => {
    rehearse(display(scene, { demo: true }));
    expect(text('ribbon')).toContain('DEMO — no real money');
  });

  it('leads to pairing, without putting a payment away', () => {
    const { host } = rehearse(display(scenes.paid(), { demo: true }));
    vi.advanceTimersByTime(1_000);
    press('Enter', {}, part('pair-your-wallet'));
    click('pair-your-wallet');
    expect(host.openWelcome).toHaveBeenCalledTimes(1);
    expect(host.dismissShowing).not.toHaveBeenCalled();
  });

  it('is not there when money is real', () => {
    rehearse(display(scenes.paid()));
    expect(role('ribbon')).toBeNull();
  });
});

describe('welcome', () => {
  const paste = async (value: string) => {
    type('pairing', value);
    await vi.advanceTimersByTimeAsync(200);
    flushSync();
  };
  const preview = {
    server: 'https://a.example',
    kind: said('an address'),
    name: null,
    needsKey: false,
    insecure: false,
  };

  it('asks once what was understood, after the typing pauses', async () => {
    const { host } = rehearse(display(scenes.welcome()));
    type('pairing', 'h');
    await vi.advanceTimersByTimeAsync(100);
    await paste('https://a.example');
    expect(host.previewPairing).toHaveBeenCalledExactlyOnceWith('https://a.example');
    expect(text('server')).toBe('https://pay.example.com');
  });

  it('asks for the key and for consent only where they are needed', async () => {
    const { host } = rehearse(display(scenes.welcome()));
    await paste('https://a.example');
    expect(role('invoice-key')).toBeNull();
    host.previewPairing.mockResolvedValue({
      ...preview,
      needsKey: true,
      insecure: true,
      remarks: [said('Dropped.')],
    });
    await paste('http://a.example');
    expect(text('remark')).toBe('Dropped.');
    expect(part('invoice-key').getAttribute('type')).toBe('password');
    expect(part('pair').hasAttribute('disabled')).toBe(true);
    type('invoice-key', ' k ');
    click('consent');
    click('pair');
    expect(host.pair).toHaveBeenCalledExactlyOnceWith({
      pairing: 'http://a.example',
      invoiceKey: 'k',
      name: null,
      allowInsecure: true,
    });
  });

  it('shows the key only when asked', async () => {
    const { host } = rehearse(display(scenes.welcome()));
    host.previewPairing.mockResolvedValue({ ...preview, needsKey: true, remarks: [] });
    await paste('https://a.example');
    click('show-key');
    expect(part('invoice-key').getAttribute('type')).toBe('text');
  });

  it('says what it did not understand', async () => {
    const { host } = rehearse(display(scenes.welcome()));
    host.previewPairing.mockRejectedValue('This is no address.');
    await paste('nonsense');
    expect(text('unclear')).toBe('This is no address.');
    expect(role('preview')).toBeNull();
  });

  it('drops an answer to an older text', async () => {
    const { host } = rehearse(display(scenes.welcome()));
    let answerOld = (_: Awaited<ReturnType<typeof host.previewPairing>>) => {};
    host.previewPairing.mockReturnValueOnce(new Promise((resolve) => (answerOld = resolve)));
    await paste('https://old.example');
    await paste('https://new.example');
    answerOld({ ...preview, server: 'https://old.example', remarks: [] });
    await settle();
    expect(text('server')).toBe('https://pay.example.com');
  });

  it('shows each step as it goes, and can be called off', () => {
    const { host } = rehearse(display(scenes.welcome(progressAt(2))));
    const states = [...document.querySelectorAll<HTMLElement>('[data-role=step]')].map(
      (step) => step.dataset.state,
    );
    expect(states).toEqual(['done', 'done', 'running', 'waiting', 'waiting']);
    click('cancel');
    expect(host.cancelPairing).toHaveBeenCalledTimes(1);
  });

  it('keeps what was pasted when an attempt fails', async () => {
    const { draw } = rehearse(display(scenes.welcome()));
    await paste('https://a.example');
    draw(display(scenes.welcome(progressAt(1))));
    draw(display(scenes.welcome(failure())));
    expect((part('pairing') as HTMLTextAreaElement).value).toBe('https://a.example');
    expect(part('outcome').dataset.outcome).toBe('failed');
    expect(text('outcome')).toContain('The server does not know this key.');
    expect(text('pair')).toBe('Try again');
  });

  it('forgets what was pasted once it is paired', async () => {
    const { draw } = rehearse(display(scenes.welcome()));
    await paste('lndhub://invoice:secret@https://a.example');
    draw(display(scenes.welcome(success())));
    flushSync();
    expect((part('pairing') as HTMLTextAreaElement).value).toBe('');
    expect(text('outcome')).toContain('“Beans & Brew” is paired.');
  });

  it('begins with a phone where that is asked for, and says where none can', async () => {
    const { host } = rehearse(display(scenes.welcome()));
    host.pairByPhone.mockRejectedValue('No phone can reach this Tillbell.');
    click('pair-by-phone');
    await settle();
    expect(host.pairByPhone).toHaveBeenCalledTimes(1);
    expect(text('complaint')).toContain('No phone can reach this Tillbell.');
  });

  it('shows the code for a phone, with the border that cameras need, and the address without its secret', async () => {
    const { host } = rehearse(display(scenes.phone('waiting')));
    await settle();
    expect(host.phoneCode).toHaveBeenCalledTimes(1);
    expect(part('phone-code').querySelector('svg')?.getAttribute('viewBox')).toBe('-4 -4 33 33');
    expect(part('phone-code').querySelector('path')?.getAttribute('fill')).toBe('#000');
    expect(text('phone-address')).toBe('http://192.168.178.20:3030/pair#Till…');
    expect(part('pairing').closest('[hidden]')).not.toBeNull();
    click('cancel');
    expect(host.cancelPairing).toHaveBeenCalledTimes(1);
  });

  it('draws the code once while it stays, and anew when it is another', async () => {
    const { host, draw } = rehearse(display(scenes.phone('waiting')));
    draw(display(scenes.phone('waiting')));
    await settle();
    expect(host.phoneCode).toHaveBeenCalledTimes(1);
    draw(
      display(scenes.welcome(null, false, { state: 'waiting', url: 'http://192.168.178.20:3030/pair#new' })),
    );
    await settle();
    expect(host.phoneCode).toHaveBeenCalledTimes(2);
  });

  it('says why there is no code', async () => {
    const { host, draw } = rehearse();
    host.phoneCode.mockRejectedValue(said('That code is not shown any more.'));
    draw(display(scenes.phone('waiting')));
    await settle();
    expect(text('phone-code')).toBe('That code is not shown any more.');
  });

  it('says that a phone has opened the page, and what became of the wallet that it sent', () => {
    const { draw } = rehearse(display(scenes.phone('opened')));
    expect(text('phone')).toContain('A phone has opened the page. Paste your wallet there.');
    expect(role('outcome')).toBeNull();
    draw(display(scenes.phone('opened', failure())));
    expect(text('outcome')).toContain('The server does not know this key.');
    expect(document.querySelectorAll('[data-role=outcome]')).toHaveLength(1);
  });

  it('shows the number and the steps while a phone’s wallet is tried', () => {
    const { host } = rehearse(display(scenes.phone('trying', progressAt(2))));
    expect(text('phone-number')).toBe('048 291');
    expect(parts('step').map((step) => step.dataset.state)).toEqual([
      'done',
      'done',
      'running',
      'waiting',
      'waiting',
    ]);
    click('cancel');
    expect(host.cancelPairing).toHaveBeenCalledTimes(1);
  });

  it('asks whether a phone’s wallet is the merchant’s, and pairs what is shown', async () => {
    const { host } = rehearse(display(scenes.phone('confirm', progressAt(4))));
    expect(text('phone-wallet')).toBe('Beans & Brew');
    expect(text('phone-server')).toBe('https://pay.example.com');
    expect(text('phone-number')).toBe('048 291');
    expect(text('phone')).toContain('Is this your wallet, and does the phone show this number?');
    vi.advanceTimersByTime(400);
    click('confirm');
    click('confirm');
    expect(host.confirmPairing).toHaveBeenCalledExactlyOnceWith('048291');
    click('cancel');
    expect(host.cancelPairing).toHaveBeenCalledTimes(1);
  });

  it('can be confirmed again when that was refused', async () => {
    const { host } = rehearse(display(scenes.phone('confirm')));
    host.confirmPairing.mockRejectedValue('Tillbell does not answer.');
    vi.advanceTimersByTime(400);
    click('confirm');
    await settle();
    expect(text('complaint')).toContain('Tillbell does not answer.');
    expect(part('confirm').hasAttribute('disabled')).toBe(false);
  });

  it('pairs nothing by a stray key, nor by a tap meant for what was there before', () => {
    const { host, draw } = rehearse(display(scenes.phone('trying')));
    part('cancel').focus();
    draw(display(scenes.phone('confirm')));
    expect(document.activeElement).toBe(document.body);
    press('Enter');
    vi.advanceTimersByTime(399);
    click('confirm');
    expect(host.confirmPairing).not.toHaveBeenCalled();
  });

  it('says how it ended with a phone, and offers both ways again', async () => {
    const { host, draw } = rehearse(display(scenes.welcome()));
    await paste('https://a.example');
    draw(display(scenes.phone('trying', progressAt(2))));
    draw(display(scenes.phone('ended', progressAt(2))));
    expect(text('phone-ended')).toContain('No phone has sent a wallet');
    expect((part('pairing') as HTMLTextAreaElement).value).toBe('https://a.example');
    expect(part('pairing').closest('[hidden]')).toBeNull();
    expect(role('step')).toBeNull();
    click('pair-by-phone');
    expect(host.pairByPhone).toHaveBeenCalledTimes(1);
  });

  it('offers the demo, and the way back only where there is one', () => {
    const { host, draw } = rehearse(display(scenes.welcome()));
    click('try-demo');
    expect(host.tryDemo).toHaveBeenCalledTimes(1);
    expect(role('back')).toBeNull();
    press('Escape');
    expect(host.leaveWelcome).not.toHaveBeenCalled();
    draw(display(scenes.welcome(null, true)));
    press('Escape');
    expect(host.leaveWelcome).toHaveBeenCalledTimes(1);
  });
});

describe('settings', () => {
  const open = async () => {
    const stage = rehearse(display(scenes.idle()));
    press('s');
    await settle();
    return stage;
  };

  it('leave a catch-up that covers them to be put away by a tap', async () => {
    const { draw } = await open();
    expect(part('clock').closest('[inert]')).not.toBeNull();
    draw(display(scenes.catchUp(1)));
    expect(part('dismiss').closest('[inert]')).toBeNull();
  });

  it('open by key or gear, take the focus, and close by Escape', async () => {
    await open();
    expect(document.activeElement).toBe(part('settings'));
    press('Escape', {}, part('settings'));
    expect(role('settings')).toBeNull();
    click('settings-button');
    expect(role('settings')).not.toBeNull();
  });

  it('keep the focus within', async () => {
    await open();
    const stops = part('settings').querySelectorAll<HTMLElement>('button:not(:disabled), input, select');
    stops[stops.length - 1]?.focus();
    press('Tab', {}, document.activeElement ?? document.body);
    expect(document.activeElement).toBe(stops[0]);
  });

  it('send only what was changed', async () => {
    const { host } = await open();
    const volume = part('volume') as HTMLInputElement;
    volume.value = '35';
    volume.dispatchEvent(new Event('change', { bubbles: true }));
    await settle();
    expect(host.changeSettings).toHaveBeenCalledExactlyOnceWith({ volume: 35 });
  });

  it('show why a change was refused', async () => {
    const { host } = await open();
    host.changeSettings.mockRejectedValue('The settings file cannot be written.');
    type('pay-code-text', 'beans@example.com');
    click('save-pay-code');
    await settle();
    expect(text('refused')).toBe('The settings file cannot be written.');
  });

  it('say of a pay code that its squares are small on this screen', async () => {
    const { host } = await open();
    expect(role('code-size')).toBeNull();
    for (const [modules, words] of [
      [153, 'scanned from farther away'],
      [250, 'too small to be scanned'],
    ] as const) {
      host.changeSettings.mockResolvedValue({
        ...settingsView,
        payCode: `${modules}`,
        payCodeModules: modules,
      });
      type('pay-code-text', `${modules}`);
      click('save-pay-code');
      await settle();
      expect(text('code-size')).toContain(words);
    }
  });

  it('step aside for a payment and come back with what was typed', async () => {
    const { draw } = await open();
    type('pay-code-text', 'beans@exa');
    draw(display(scenes.paid()));
    expect(role('settings')).toBeNull();
    expect(text('amount')).toBe('1,000 sats');
    draw(display(scenes.idle()));
    expect((part('pay-code-text') as HTMLInputElement).value).toBe('beans@exa');
  });

  it('ask before they unpair', async () => {
    const { host } = await open();
    click('unpair');
    expect(host.unpair).not.toHaveBeenCalled();
    expect(text('unpair-question')).toContain('payments stays here');
    press('Escape', {}, part('unpair-question'));
    expect(role('unpair-question')).toBeNull();
    click('unpair');
    click('unpair-really');
    expect(host.unpair).toHaveBeenCalledExactlyOnceWith('Beans & Brew');
  });

  it('leave out card and cash where the shop wants that', async () => {
    const { host } = await open();
    click('announce-card');
    await settle();
    expect(host.changeSettings).toHaveBeenCalledExactlyOnceWith({ announceCard: false });
    expect((part('announce-card') as HTMLInputElement).checked).toBe(false);
    expect((part('announce-cash') as HTMLInputElement).checked).toBe(true);
  });
});

describe('everywhere', () => {
  it('F11 toggles full screen and puts nothing away', () => {
    const { host } = rehearse(display(scenes.paid()));
    vi.advanceTimersByTime(1_000);
    press('F11');
    expect(host.toggleFullScreen).toHaveBeenCalledTimes(1);
    expect(host.dismissShowing).not.toHaveBeenCalled();
  });

  it('a refused request shows its sentence', async () => {
    const { host } = rehearse(display(scenes.welcome()));
    host.tryDemo.mockRejectedValue('The demo is not in this build.');
    click('try-demo');
    await settle();
    expect(text('complaint')).toContain('The demo is not in this build.');
    await vi.advanceTimersByTimeAsync(10_000);
    flushSync();
    expect(role('complaint')).toBeNull();
  });

  it('a second payment takes the place of the first', () => {
    const { draw } = rehearse(display(scenes.paid({ showing: 1 })));
    draw(display({ name: 'paid', ...paid({ showing: 2, amountMsat: 5_000, memo: 'Tea' }) }));
    expect(text('amount')).toBe('5 sats');
    expect(document.querySelectorAll('[data-role=amount]')).toHaveLength(1);
  });
});
