import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import nacl from 'tweetnacl';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { failure, progressAt, success } from '../host/samples';
import { part, parts, text } from '../testing/rehearsal';
import { opened } from '../testing/sealed';
import { begin } from './begin';
import { fromBase64Url, toBase64Url } from './bytes';
import { type News, pause } from './pairing';
import { numberOf } from './seal';

const markup = readFileSync(join(import.meta.dirname, '../../pair.html'), 'utf8');
const display = nacl.box.keyPair.fromSecretKey(new Uint8Array(32).fill(7));
const token = Uint8Array.from({ length: 16 }, (_, i) => i);
const code = `#${toBase64Url(Uint8Array.of(...display.publicKey, ...token))}`;
const pairing = 'lndhub://invoice:key@https://pay.example.com/lndhub/ext/';

type Answer = [status: number, said?: unknown];

const refused = (status: number, message: string): Answer => [status, { error: { code: 'no', message } }];
const news = (progress: News['progress'], toConfirm = false): Answer => [200, { progress, toConfirm }];

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
    document.body.replaceChildren();
  });
});

const settle = () => vi.advanceTimersByTimeAsync(0);
const aRound = () => vi.advanceTimersByTimeAsync(pause);

/** The page as a phone opens it, and a display that answers what a test says. `null`: nothing answers. */
async function page(answers: Record<string, Answer | null> = {}, hash = code) {
  const given: Record<string, Answer | null> = {
    '/pair/claim': [204],
    '/pair/send': [204],
    '/pair/news': news(null),
    ...answers,
  };
  const asked: [path: string, told: Record<string, string>][] = [];
  const fetch = vi.fn(async (path: string, { body }: RequestInit) => {
    asked.push([path, JSON.parse(String(body))]);
    const answer = given[path];
    if (answer == null) throw new TypeError('Failed to fetch');
    const [status, said] = answer;
    return { status, text: async () => (said === undefined ? '' : JSON.stringify(said)) };
  });
  vi.stubGlobal('fetch', fetch);
  document.body.replaceChildren(...new DOMParser().parseFromString(markup, 'text/html').body.childNodes);
  delete document.body.dataset.stage;
  history.replaceState(null, '', `/pair${hash}`);
  begin();
  await settle();
  return {
    answer: (path: string, said: Answer | null) => {
      given[path] = said;
    },
    told: (path: string) => asked.filter(([to]) => to === path).map(([, told]) => told),
  };
}

const stage = () => document.querySelector<HTMLElement>('section:not([hidden])')?.dataset.stage;
const field = (name: string) => part(name) as HTMLInputElement;

async function send(written: Record<string, string> = { pairing }) {
  for (const [name, value] of Object.entries(written)) field(name).value = value;
  part('pair').click();
  await settle();
}

describe('the code', () => {
  it('leaves the address bar, and is proven without being told', async () => {
    const { told } = await page();
    expect(location.hash).toBe('');
    expect(location.pathname).toBe('/pair');
    expect(told('/pair/claim')).toEqual([
      { claim: bytesToHex(sha256(token)), nonce: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
    expect(stage()).toBe('writing');
  });

  it.each(['', '#nonsense'])('must be there: %o is none', async (hash) => {
    const { told } = await page({}, hash);
    expect(text('over')).toContain('Scan the code on the display again.');
    expect(told('/pair/claim')).toEqual([]);
    expect(location.hash).toBe('');
  });

  it('is of no use once another phone has opened it', async () => {
    const { told } = await page({ '/pair/claim': refused(410, 'Another phone has opened this code.') });
    expect(stage()).toBe('over');
    expect(text('over')).toBe('Another phone has opened this code.');
    await aRound();
    expect(told('/pair/claim')).toHaveLength(1);
  });

  it('is tried on, as the same page, while the display cannot be reached', async () => {
    const { answer, told } = await page({ '/pair/claim': null });
    expect(stage()).toBe('claiming');
    expect(text('trouble')).toContain('cannot be reached');
    answer('/pair/claim', [204]);
    await aRound();
    expect(stage()).toBe('writing');
    expect(part('trouble').hidden).toBe(true);
    const [first, second] = told('/pair/claim');
    expect(second).toEqual(first);
  });

  it('is not taken by somebody else who answers', async () => {
    await page({ '/pair/claim': [200, { welcome: 'to our hotel' }] });
    expect(stage()).toBe('claiming');
    expect(text('trouble')).toContain('cannot be reached');
  });
});

describe('what is written', () => {
  it('reaches the display sealed, with the token, and the number is of what was sent', async () => {
    const { told } = await page();
    await send({ pairing: ` ${pairing}\n`, 'invoice-key': ' k ', 'shop-name': 'Beans & Brew' });
    const [{ nonce = '', sealed = '' } = {}] = told('/pair/send');
    expect(nonce).toBe(told('/pair/claim')[0]?.nonce);
    const bytes = fromBase64Url(sealed);
    const { secret, ...rest } = JSON.parse(opened(bytes, display) ?? '');
    // Who only listens cannot send something of his own: he knows what the secret is known by, and not the secret.
    expect(bytesToHex(sha256(hexToBytes(secret)))).toBe(nonce);
    expect(rest).toEqual({
      token: toBase64Url(token),
      form: { pairing, invoiceKey: 'k', name: 'Beans & Brew', allowInsecure: false },
    });
    const number = numberOf(display.publicKey, bytes);
    expect(text('number')).toBe(`${number.slice(0, 3)} ${number.slice(3)}`);
    expect(stage()).toBe('trying');
  });

  it('has no key and no name where none is written', async () => {
    const { told } = await page();
    await send();
    const sealed = told('/pair/send')[0]?.sealed ?? '';
    expect(JSON.parse(opened(fromBase64Url(sealed), display) ?? '').form).toEqual({
      pairing,
      invoiceKey: null,
      name: null,
      allowInsecure: false,
    });
  });

  it('must be something', async () => {
    const { told } = await page();
    await send({ pairing: '  ' });
    expect(text('complaint')).toBe('Paste the address of your wallet first.');
    expect(document.activeElement).toBe(part('pairing'));
    expect(told('/pair/send')).toEqual([]);
    await send();
    expect(told('/pair/send')).toHaveLength(1);
  });

  it('stays when the display refuses it', async () => {
    await page({ '/pair/send': refused(400, 'This is too long.') });
    await send();
    expect(stage()).toBe('writing');
    expect(text('complaint')).toBe('This is too long.');
    expect(field('pairing').value).toBe(pairing);
  });

  it('is sent on, the same bytes, while the display cannot be reached', async () => {
    const { answer, told } = await page({ '/pair/send': null });
    await send();
    const number = text('number');
    expect(text('trouble')).toContain('cannot be reached');
    answer('/pair/send', [204]);
    await aRound();
    const [first, second] = told('/pair/send');
    expect(second).toEqual(first);
    expect(text('number')).toBe(number);
    expect(part('trouble').hidden).toBe(true);
  });
});

describe('the news', () => {
  it('are asked for each second, and show how far it is', async () => {
    const { answer, told } = await page();
    await send();
    expect(told('/pair/news')).toEqual([]);
    answer('/pair/news', news(progressAt(2)));
    await aRound();
    expect(told('/pair/news')).toEqual([{ nonce: told('/pair/claim')[0]?.nonce }]);
    expect(parts('step').map((step) => step.dataset.state)).toEqual([
      'done',
      'done',
      'running',
      'waiting',
      'waiting',
    ]);
    expect(part('steps').textContent).toContain('LNbits 1.6.2');
    expect(text('spoken')).toBe('Check the key: under way');
    expect(part('to-confirm').hidden).toBe(true);
    await aRound();
    expect(told('/pair/news')).toHaveLength(2);
  });

  it('leave alone what stays the same, so that it is not read out again', async () => {
    const { answer } = await page();
    await send();
    answer('/pair/news', news(progressAt(2)));
    await aRound();
    const texts = () => [
      part('spoken').firstChild,
      ...parts('step').map((step) => step.firstChild?.firstChild),
    ];
    const before = texts();
    await aRound();
    const after = texts();
    expect(after.every((node, at) => node === before[at])).toBe(true);
  });

  it('say when it is to be confirmed', async () => {
    const { answer } = await page();
    await send();
    answer('/pair/news', news(progressAt(4), true));
    await aRound();
    expect(part('to-confirm').hidden).toBe(false);
    expect(text('spoken')).toBe('Confirm it on the display now.');
  });

  it('end well: the shop is named, and nothing that was written stays', async () => {
    const { answer, told } = await page();
    await send({ pairing, 'invoice-key': 'k', 'shop-name': 'Beans' });
    answer('/pair/news', news(success()));
    await aRound();
    expect(stage()).toBe('paired');
    expect(document.querySelector('section:not([hidden])')?.textContent).toMatch(
      /Paired with Beans & Brew\.\s+You can close this page\./,
    );
    expect(['pairing', 'invoice-key', 'shop-name'].map((name) => field(name).value)).toEqual(['', '', '']);
    await aRound();
    expect(told('/pair/news')).toHaveLength(1);
    expect([sessionStorage.length, localStorage.length, document.cookie]).toEqual([0, 0, '']);
  });

  it('end badly: the reason is said, what was written stays, and it can be sent again', async () => {
    const { answer, told } = await page();
    await send({ pairing, 'invoice-key': 'k' });
    answer('/pair/news', news(failure()));
    await aRound();
    expect(stage()).toBe('writing');
    expect(text('complaint')).toContain('The server does not know this key.');
    expect([field('pairing').value, field('invoice-key').value]).toEqual([pairing, 'k']);
    answer('/pair/news', news(progressAt(0)));
    await send({ 'invoice-key': 'another' });
    await aRound();
    expect(stage()).toBe('trying');
    const [first, second] = told('/pair/send');
    expect(second?.sealed).not.toBe(first?.sealed);
  });

  it('end where somebody at the display calls it off', async () => {
    const { answer } = await page();
    await send();
    answer('/pair/news', refused(410, 'This was called off at the display.'));
    await aRound();
    expect(text('over')).toBe('This was called off at the display.');
    expect(field('pairing').value).toBe('');
  });

  it('are asked for on while the display cannot be reached, and while it has no time', async () => {
    const { answer } = await page({ '/pair/news': null });
    await send();
    await aRound();
    expect(text('trouble')).toContain('cannot be reached');
    expect(stage()).toBe('trying');
    answer('/pair/news', refused(429, 'Too much was asked at once.'));
    await aRound();
    expect(text('trouble')).toBe('Too much was asked at once.');
    answer('/pair/news', news(progressAt(1)));
    await aRound();
    expect(part('trouble').hidden).toBe(true);
  });
});

describe('the page', () => {
  it('names every field, and takes whoever listens to where it goes on', async () => {
    await page();
    for (const input of document.querySelectorAll<HTMLInputElement>('input, textarea')) {
      expect(input.labels?.length).toBe(1);
      expect(input.getAttribute('autocomplete')).toBe('off');
    }
    expect(document.activeElement?.textContent).toBe('Pair your wallet');
    await send();
    expect(document.activeElement?.textContent).toBe('Compare the number');
  });

  it('shows text from outside as text, never as markup', async () => {
    const { answer } = await page();
    await send();
    const progress = progressAt(1);
    for (const step of progress.steps) step.label.text = '<img src=x onerror=alert(1)>';
    answer('/pair/news', news(progress));
    await aRound();
    expect(part('steps').textContent).toContain('<img');
    expect(part('steps').querySelector('img')).toBeNull();
  });
});
