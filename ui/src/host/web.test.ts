import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Screen } from '../lib/screen.svelte';
import { sentence } from '../lib/sentence';
import type { Display } from './generated/Display';
import { display, live, lost, said, scenes, wallets } from './samples';
import { webHost } from './web';
import { patience } from './web/call';
import { silence } from './web/glass';
import { knocks, latest, soonest } from './web/line';

const token = 'ab'.repeat(32);
const me = { name: 'Counter', role: 'customer', build: 'one' };
const refused = (code: string, message: string) => ({ error: { code, message } });

type Answer = [status: number, said?: unknown];

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-11-24T14:30:00Z') });
  sessionStorage.clear();
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

/** A stream of pictures that a test sends. */
class Stream extends EventTarget {
  static opened: Stream[] = [];
  close = vi.fn();

  constructor(readonly address: string) {
    super();
    Stream.opened.push(this);
  }

  picture(picture: Display) {
    this.dispatchEvent(new MessageEvent('picture', { data: JSON.stringify(picture) }));
  }

  me(sound: boolean) {
    this.dispatchEvent(new MessageEvent('me', { data: JSON.stringify({ sound }) }));
  }

  beat() {
    this.dispatchEvent(new MessageEvent('beat', { data: '{}' }));
  }

  break() {
    this.dispatchEvent(new Event('error'));
  }
}

/** A page at an address, and a server that answers what a test says. `null`: nothing answers. */
function page(address = '/', answers: Record<string, Answer | null> = {}) {
  const given: Record<string, Answer | null> = {
    '/door/me': [200, me],
    '/door/ask': [200, { answer: 'done' }],
  };
  Object.assign(given, answers);
  const asked: [path: string, told: unknown][] = [];
  const fetch = vi.fn(async (path: string, how: RequestInit) => {
    asked.push([path, how.body === undefined ? undefined : JSON.parse(String(how.body))]);
    const [status, body] = given[path] ?? [0];
    if (status === 0) throw new TypeError('Failed to fetch');
    return { status, text: async () => (typeof body === 'string' ? body : JSON.stringify(body ?? '')) };
  });
  vi.stubGlobal('fetch', fetch);
  Stream.opened = [];
  vi.stubGlobal('EventSource', Stream);
  // Waits between attempts are as long as they may be.
  vi.spyOn(Math, 'random').mockReturnValue(1);
  const [pathname, hash] = address.split('#');
  const reload = vi.fn();
  vi.stubGlobal('location', { pathname, hash: hash === undefined ? '' : `#${hash}`, reload });
  const replaceState = vi.spyOn(history, 'replaceState').mockImplementation(() => {});
  const seen = vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('visible');

  const over = new AbortController();
  onTestFinished(() => over.abort());
  const host = webHost(over.signal);
  const drawn: Display[] = [];
  return {
    host,
    drawn,
    given,
    fetch,
    reload,
    replaceState,
    /** What was asked at a path. */
    at: (path: string) => asked.filter(([at]) => at === path).map(([, told]) => told),
    asked: () => asked.map(([path]) => path),
    last: () => drawn[drawn.length - 1],
    stream: () => {
      const stream = Stream.opened[Stream.opened.length - 1];
      if (stream === undefined) throw new Error('no stream was opened');
      return stream;
    },
    turn(state: DocumentVisibilityState) {
      seen.mockReturnValue(state);
      document.dispatchEvent(new Event('visibilitychange'));
    },
    async open(
      draw: (picture: Display) => void = (picture) => {
        drawn.push(picture);
      },
    ) {
      await host.subscribe(draw);
      await pass(0);
    },
  };
}

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

/** A page whose pictures come. */
async function opened(
  role: 'customer' | 'operator' = 'customer',
  answers: Record<string, Answer | null> = {},
) {
  const shown = page('/', { '/door/me': [200, { ...me, role }], ...answers });
  await shown.open();
  shown.stream().picture(display(scenes.idle(), { role, revision: 40, wallets: wallets(2) }));
  return shown;
}

const letters = display(scenes.join(), { revision: 0, role: 'customer', shop: null });

describe('a link', () => {
  const joins = (answer: Answer | null, more = {}) =>
    page(`/join#${token}`, { '/door/join': answer, ...more });

  it('is used before anything else, with what only this page knows, and leaves the address bar', async () => {
    const { open, at, asked, replaceState } = joins([204]);
    await open();
    expect(at('/door/join')).toEqual([{ token, nonce: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    expect(asked()).toEqual(['/door/join', '/door/me']);
    expect(replaceState).toHaveBeenCalledExactlyOnceWith(null, '', '/');
    expect(Stream.opened).toHaveLength(1);
  });

  it('that was used is no matter in a browser that has joined', async () => {
    const { open, drawn, replaceState } = joins([401, refused('wrong-token', 'Used.')]);
    await open();
    expect(replaceState).toHaveBeenCalledTimes(1);
    expect(Stream.opened).toHaveLength(1);
    expect(drawn).toEqual([]);
  });

  it.each([
    ['in the words of the server', refused('wrong-token', 'Used.'), 'Used.'],
    ['in its own where there are none', '', 'This link was used already, or is too old: ask for a new one.'],
  ])('that was used is said above the letters, %s', async (_, body, text) => {
    const { open, last } = joins([401, body], { '/door/me': [401], '/door/knock': [200, letters] });
    await open();
    expect(last()?.scene).toEqual(scenes.join());
    expect(last()?.notices).toMatchObject([{ sentence: { text }, weight: 'warning' }]);
  });

  it('that was used is forgotten by a browser that was a display since', async () => {
    const { open, given, stream, last } = joins([401], { '/door/knock': [200, letters] });
    await open();
    given['/door/me'] = [401];
    stream().break();
    await pass(soonest);
    expect(last()?.scene).toEqual(scenes.join());
    expect(last()?.notices).toEqual([]);
  });

  it('is kept while nothing answers, out of the address bar, and tried again', async () => {
    const { open, given, at, asked, replaceState } = joins(null);
    await open();
    expect(asked()).toEqual(['/door/join']);
    expect(replaceState).toHaveBeenCalledTimes(1);
    given['/door/join'] = [204];
    await pass(soonest);
    expect(at('/door/join')).toHaveLength(2);
    expect(new Set(at('/door/join').map((told) => JSON.stringify(told))).size).toBe(1);
    expect(Stream.opened).toHaveLength(1);
  });

  it('is kept while too many were wrong, and that is said', async () => {
    const { open, given, last, at } = joins([429, refused('too-many-guesses', 'Wait a minute.')]);
    await open();
    expect(last()?.unreliable?.detail?.text).toBe('Wait a minute.');
    given['/door/join'] = [204];
    await pass(latest);
    expect(at('/door/join')).toHaveLength(2);
    expect(Stream.opened).toHaveLength(1);
  });

  it.each(['/', '/join', `/#${token}`, '/join#short', `/join#${token}0`])('is not %s', async (address) => {
    const { open, asked } = page(address);
    await open();
    expect(asked()).toEqual(['/door/me']);
  });
});

describe('a browser that is no display', () => {
  it('shows its letters, asks again every two seconds as the same page, and goes on when it is allowed', async () => {
    const { open, given, last, at } = page('/', { '/door/me': [401], '/door/knock': [200, letters] });
    await open();
    expect(last()?.scene).toEqual(scenes.join());
    expect(last()?.notices).toEqual([]);
    await pass(knocks - 1);
    expect(at('/door/knock')).toHaveLength(1);
    await pass(1 + knocks);
    expect(at('/door/knock')).toHaveLength(3);
    expect(new Set(at('/door/knock').map((told) => JSON.stringify(told))).size).toBe(1);
    given['/door/knock'] = [204];
    await pass(knocks);
    given['/door/me'] = [200, me];
    await pass(soonest);
    expect(Stream.opened.map(({ address }) => address)).toEqual(['/door/pictures']);
  });

  it('does not wait long once it is allowed, however long nothing had answered before', async () => {
    const { open, given } = page('/', { '/door/me': null });
    await open();
    await pass(60_000);
    Object.assign(given, { '/door/me': [401], '/door/knock': [200, letters] });
    await pass(latest);
    Object.assign(given, { '/door/me': [200, me], '/door/knock': [204] });
    await pass(knocks + soonest);
    expect(Stream.opened).toHaveLength(1);
  });

  it('does not ask who it is while its letters are shown: with an old cookie it would be wrong too often', async () => {
    const { open, at } = page('/', { '/door/me': [401], '/door/knock': [200, letters] });
    await open();
    await pass(60_000);
    expect(at('/door/me')).toHaveLength(1);
  });

  it('asks who it is when somebody looks: it may have joined in another tab', async () => {
    const { open, given, turn } = page('/', { '/door/me': [401], '/door/knock': [200, letters] });
    await open();
    given['/door/me'] = [200, me];
    turn('hidden');
    turn('visible');
    await pass(0);
    expect(Stream.opened).toHaveLength(1);
  });

  it('does not ask without a pause where it keeps no cookie', async () => {
    const { open, at } = page('/', { '/door/me': [401], '/door/knock': [204] });
    await open();
    await pass(60_000);
    expect(at('/door/knock').length).toBeLessThan(20);
  });

  it('says so when too many ask, and asks on slowly', async () => {
    const full: Answer = [429, refused('too-many-ask', 'Too many screens ask.')];
    const { open, given, drawn, last, at } = page('/', { '/door/me': [401], '/door/knock': full });
    await open();
    expect(last()?.unreliable?.detail).toEqual({
      code: 'too-many-ask',
      args: {},
      text: 'Too many screens ask.',
    });
    await pass(10 * latest);
    expect(at('/door/knock')).toHaveLength(11);
    expect(drawn).toHaveLength(1);
    given['/door/knock'] = [200, letters];
    await pass(latest);
    expect(last()?.scene).toEqual(scenes.join());
    expect(last()?.unreliable).toBeNull();
  });

  it('shows its letters again once it is one no more', async () => {
    const { given, stream, last } = await opened('customer', { '/door/knock': [200, letters] });
    given['/door/me'] = [401];
    stream().break();
    await pass(soonest);
    expect(last()?.scene).toEqual(scenes.join());
  });
});

describe('an operator’s display over a network that could read along', () => {
  it('says why it is none, tries again slowly, and is one when it may', async () => {
    const why = 'It works on the computer that runs Tillbell only.';
    const { open, given, drawn, last, at } = page('/', { '/door/me': [403, refused('not-private', why)] });
    await open();
    expect(last()).toMatchObject({ scene: { name: 'idle', payCode: null }, link: { state: 'down' } });
    expect(last()?.unreliable?.detail?.text).toBe(why);
    await pass(30_000);
    expect(at('/door/me')).toHaveLength(7);
    expect(drawn).toHaveLength(1);
    given['/door/me'] = [200, me];
    await pass(latest);
    expect(Stream.opened).toHaveLength(1);
  });
});

describe('the pictures', () => {
  it('are drawn as they come', async () => {
    const { stream, drawn } = await opened();
    stream().picture(display(scenes.paid(), { revision: 41 }));
    expect(drawn.map(({ scene }) => scene.name)).toEqual(['idle', 'paid']);
    expect(stream().address).toBe('/door/pictures');
  });

  it('are asked for again by this page, never by the stream itself', async () => {
    const { stream, at } = await opened();
    stream().break();
    expect(stream().close).toHaveBeenCalledTimes(1);
    await pass(soonest - 1);
    expect(at('/door/me')).toHaveLength(1);
    await pass(1);
    expect(at('/door/me')).toHaveLength(2);
    expect(Stream.opened).toHaveLength(2);
  });

  it('are asked for after twice the time, five seconds at most, until one came', async () => {
    const { stream, at } = await opened();
    for (const pause of [soonest, 1_000, 2_000, 4_000, latest, latest]) {
      const before = at('/door/me').length;
      stream().break();
      await pass(pause - 1);
      expect(at('/door/me')).toHaveLength(before);
      await pass(1);
      expect(at('/door/me')).toHaveLength(before + 1);
    }
    stream().picture(display(scenes.idle()));
    stream().break();
    await pass(soonest);
    expect(Stream.opened).toHaveLength(8);
  });

  it('are asked for by each page at a moment of its own', async () => {
    const { stream, at } = await opened();
    vi.mocked(Math.random).mockReturnValue(0);
    stream().break();
    await pass(soonest / 2);
    expect(at('/door/me')).toHaveLength(2);
  });

  it('are asked for at once when the network is back', async () => {
    const { stream, given, at } = await opened();
    given['/door/me'] = null;
    stream().break();
    await pass(8_000);
    const before = at('/door/me').length;
    window.dispatchEvent(new Event('online'));
    await pass(0);
    expect(at('/door/me')).toHaveLength(before + 1);
  });

  it('are given up when one cannot be drawn: an older one must not stay for good', async () => {
    const { open, stream } = page();
    const draw = vi.fn(() => {
      throw new Error('no such scene');
    });
    await open(draw);
    expect(() => stream().picture(display(scenes.idle()))).toThrow('no such scene');
    expect(stream().close).toHaveBeenCalledTimes(1);
  });

  it('of a server that started anew are drawn, though it counts from the beginning again', async () => {
    const { host, open, stream } = page();
    const screen = new Screen(host);
    await open(screen.draw);
    stream().picture(display(scenes.paid({ showing: 1, amountMsat: 1_000 }), { revision: 900 }));
    await pass(100);
    stream().break();
    await pass(soonest);
    stream().picture(display(scenes.idle(), { revision: 2, shop: 'Anew' }));
    expect(screen.display).toMatchObject({ shop: 'Anew', scene: { name: 'idle' } });
  });

  it('of a server that started anew are acknowledged, though its showings have the same numbers', async () => {
    const { host, open, stream, at } = page();
    await open(new Screen(host).draw);
    const shown = () => at('/door/ask').filter((told) => (told as { ask: string }).ask === 'painted');
    stream().picture(display(scenes.paid({ showing: 1, amountMsat: 1_000 }), { revision: 900 }));
    await pass(100);
    expect(shown()).toEqual([{ ask: 'painted', showing: 1 }]);
    stream().break();
    await pass(soonest);
    stream().picture(display(scenes.paid({ showing: 1, amountMsat: 2_000 }), { revision: 2 }));
    await pass(100);
    expect(shown()).toHaveLength(2);
  });

  it('that only came again after a short break are not acknowledged twice', async () => {
    const { host, open, stream, at } = page();
    await open(new Screen(host).draw);
    for (const _ of [1, 2]) {
      stream().picture(display(scenes.paid({ showing: 1 }), { revision: 900 }));
      await pass(100);
      stream().break();
      await pass(soonest);
    }
    expect(at('/door/ask')).toHaveLength(1);
  });
});

describe('silence', () => {
  it('takes everything away that may be stale after twelve seconds, and says since when', async () => {
    const { stream, given, last } = await opened('operator');
    stream().picture(display(scenes.paid(), { revision: 41, role: 'operator', wallets: wallets(2) }));
    given['/door/me'] = null;
    await pass(silence - 1);
    expect(last()?.scene.name).toBe('paid');
    await pass(1);
    const since = '2026-11-24T14:30:00.000Z';
    const down = { state: 'down', detail: null, untrustedSince: since };
    expect(last()).toMatchObject({
      role: 'operator',
      shop: 'Beans & Brew',
      scene: { name: 'idle', payCode: null, last: null, pending: [] },
      link: down,
      wallets: [{ link: down }, { link: down }],
      unreliable: { since, detail: { code: 'no-contact', args: {} } },
    });
    expect(last()?.unreliable?.detail?.text).toContain('This screen has lost Tillbell.');
  });

  it('is not while beats come, and is drawn once', async () => {
    const { stream, drawn, given } = await opened();
    for (let beats = 0; beats < 10; beats++) {
      await pass(4_000);
      stream().beat();
    }
    expect(drawn).toHaveLength(1);
    given['/door/me'] = null;
    await pass(60_000);
    expect(drawn).toHaveLength(2);
  });

  it('closes the stream and opens another, which has its own time to speak', async () => {
    const { stream } = await opened();
    const first = stream();
    await pass(silence);
    expect(first.close).toHaveBeenCalledTimes(1);
    await pass(soonest);
    expect(Stream.opened).toHaveLength(2);
    await pass(silence - 1_000);
    expect(stream().close).not.toHaveBeenCalled();
  });

  it('ends with a picture, not with a beat', async () => {
    const { stream, last } = await opened();
    await pass(silence + soonest);
    stream().beat();
    expect(last()?.unreliable).not.toBeNull();
    stream().picture(display(scenes.idle(), { revision: 2 }));
    expect(last()).toMatchObject({ unreliable: null, link: live });
  });

  it('is said each time', async () => {
    const { stream, given, last } = await opened();
    for (let times = 0; times < 2; times++) {
      given['/door/me'] = null;
      await pass(silence);
      expect(last()?.unreliable?.detail?.code).toBe('no-contact');
      given['/door/me'] = [200, me];
      await pass(latest);
      stream().picture(display(scenes.idle(), { revision: 41 + times }));
      expect(last()?.unreliable).toBeNull();
    }
  });

  it('is said on a page that never drew anything, too', async () => {
    const { open, last } = page('/', { '/door/me': null });
    await open();
    await pass(silence);
    expect(last()).toMatchObject({
      role: 'customer',
      shop: null,
      scene: { name: 'idle', payCode: null },
      unreliable: { detail: { code: 'no-contact' } },
    });
  });

  it('is what an answer is that is not Tillbell’s', async () => {
    const { open, last } = page('/', { '/door/me': [200, '<html>Sign in to the guests’ network</html>'] });
    await open();
    await pass(silence);
    expect(last()?.unreliable?.detail?.code).toBe('no-contact');
  });

  it('is what no answer is: a request is given up', async () => {
    const { open, fetch } = page();
    fetch.mockImplementationOnce(
      (_, { signal }) =>
        new Promise((_, fail) => signal?.addEventListener('abort', () => fail(signal.reason))),
    );
    await open();
    await pass(patience + soonest);
    expect(Stream.opened).toHaveLength(1);
  });

  it.each([
    ['it is seen again', () => document.dispatchEvent(new Event('visibilitychange'))],
    ['it is taken from the browser’s cache', () => window.dispatchEvent(new Event('pageshow'))],
    ['the network is back', () => window.dispatchEvent(new Event('online'))],
  ])('of a page that was frozen is said when %s, before anything else runs', async (_, comesBack) => {
    const { stream, last } = await opened();
    stream().picture(display(scenes.paid(), { revision: 41 }));
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + silence);
    comesBack();
    expect(last()).toMatchObject({ scene: { name: 'idle' }, unreliable: { detail: { code: 'no-contact' } } });
  });

  it('is noticed after a sleep in which the steady clock stood still', async () => {
    const { last } = await opened();
    const stood = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    vi.setSystemTime(new Date('2026-11-24T17:00:00Z'));
    document.dispatchEvent(new Event('visibilitychange'));
    expect(last()?.unreliable?.since).toBe('2026-11-24T14:30:00.000Z');
    stood.mockRestore();
  });

  it('is not where the wall clock was set back', async () => {
    const { stream, drawn } = await opened();
    vi.setSystemTime(new Date('2026-11-23T14:30:00Z'));
    await pass(4_000);
    stream().beat();
    await pass(4_000);
    expect(drawn).toHaveLength(1);
  });
});

describe('a heartbeat', () => {
  const beats = (at: (path: string) => unknown[]) => at('/door/ask');

  it('says whether the page is seen, and that it does not ring', async () => {
    const { host, at, turn } = await opened();
    await host.heartbeat(1);
    turn('hidden');
    await host.heartbeat(2);
    expect(beats(at)).toEqual([
      { ask: 'heartbeat', beat: 1, presence: { visible: true, sound: false, awake: false } },
      { ask: 'heartbeat', beat: 2, presence: { visible: false, sound: false, awake: false } },
    ]);
  });

  it('says whether the screen is kept awake, which is asked for whenever the page is seen', async () => {
    const locks: { released: boolean }[] = [];
    const request = vi.fn(async () => {
      const lock = { released: false };
      locks.push(lock);
      return lock;
    });
    vi.stubGlobal('navigator', { wakeLock: { request } });
    const { host, at, turn } = await opened();
    const awake = async () => {
      await host.heartbeat(1);
      return (beats(at).at(-1) as { presence: { awake: boolean } }).presence.awake;
    };
    expect(await awake()).toBe(true);
    for (const lock of locks) lock.released = true;
    turn('hidden');
    expect(await awake()).toBe(false);
    turn('visible');
    await pass(0);
    expect(await awake()).toBe(true);
    expect(request.mock.calls).toEqual([['screen'], ['screen']]);
  });

  it('goes on where the screen may not be kept awake', async () => {
    vi.stubGlobal('navigator', {
      wakeLock: { request: async () => Promise.reject(new Error('low battery')) },
    });
    const { host, at } = await opened();
    await host.heartbeat(1);
    expect(beats(at)).toMatchObject([{ presence: { awake: false } }]);
  });

  it('is not sent by a page that is no display', async () => {
    const { host, open, at } = page('/', { '/door/me': [401], '/door/knock': [200, letters] });
    await open();
    await host.heartbeat(1);
    expect(beats(at)).toEqual([]);
  });
});

describe('the bell', () => {
  /** A browser that lets its pages sound, or not until they are touched. */
  function ears(lets: boolean) {
    const heard: string[] = [];
    const browser = { lets };
    class Speaker extends EventTarget {
      muted = false;
      currentTime = 0;
      paused = true;
      pause() {}
      load() {}
      constructor(readonly address: string) {
        super();
      }
      async play() {
        if (!browser.lets) throw new DOMException('Touch it first.', 'NotAllowedError');
        if (!this.muted) heard.push(this.address);
      }
    }
    vi.stubGlobal('Audio', Speaker);
    return { heard, browser };
  }
  const paid = (showing: number, revision: number) => display(scenes.paid({ showing }), { revision });

  it('rings for a payment once it is drawn, on a display that is to ring', async () => {
    const { heard } = ears(true);
    const { stream, last } = await opened();
    stream().picture(paid(1, 41));
    await pass(1_000);
    expect(heard).toEqual([]);
    stream().me(true);
    stream().picture(paid(2, 42));
    expect([last()?.scene.name, heard]).toEqual(['paid', []]);
    await pass(1_000);
    expect(heard).toEqual(['/door/chime/live']);
  });

  it('does not ring twice for a payment that was there before a short break, and does for one that came meanwhile', async () => {
    const { heard } = ears(true);
    const { stream } = await opened();
    for (const [showing, revision] of [
      [1, 41],
      [1, 41],
      [2, 43],
    ] as const) {
      stream().me(true);
      stream().picture(paid(showing, revision));
      await pass(1_000);
      stream().break();
      await pass(soonest);
    }
    expect(heard).toHaveLength(2);
  });

  it('that the browser holds back is said in the picture and in the heartbeat, until somebody taps', async () => {
    const { browser } = ears(false);
    const { host, stream, last, at } = await opened();
    const isHeard = async () => {
      await host.heartbeat(1);
      return (at('/door/ask').at(-1) as { presence: { sound: boolean } }).presence.sound;
    };
    stream().me(true);
    await pass(0);
    expect([last()?.sound, last()?.scene.name, await isHeard()]).toEqual(['blocked', 'idle', false]);
    browser.lets = true;
    window.dispatchEvent(new Event('click'));
    await pass(0);
    expect([last()?.sound, await isHeard()]).toEqual(['on', true]);
    browser.lets = false;
    stream().me(false);
    expect([last()?.sound, await isHeard()]).toEqual(['on', false]);
  });
});

describe('a new version', () => {
  /** A display whose server comes back as another build. */
  async function renewed(build = 'two', healthy: Answer | null = [200, { status: 'ok', build }]) {
    const shown = await opened('customer', { '/healthz': healthy });
    shown.given['/door/me'] = [200, { ...me, build }];
    shown.stream().break();
    await pass(soonest);
    return shown;
  }

  it('is loaded once, when the screen is calm', async () => {
    const { stream, reload } = await renewed();
    stream().picture(display(scenes.paid(), { revision: 50 }));
    await pass(3_000);
    expect(reload).not.toHaveBeenCalled();
    stream().picture(display(scenes.idle(), { revision: 51 }));
    await pass(3_000);
    expect(reload).toHaveBeenCalledTimes(1);
    expect(sessionStorage.getItem('tillbell-renewed-for')).toBe('two');
  });

  it('is not loaded when a payment comes while the server is asked', async () => {
    const { fetch, stream, reload } = await renewed('one');
    let answer = () => {};
    const given = fetch.getMockImplementation();
    fetch.mockImplementation(async (path, how) => {
      if (path === '/healthz') await new Promise<void>((resolve) => (answer = resolve));
      if (path === '/door/me')
        return { status: 200, text: async () => JSON.stringify({ ...me, build: 'two' }) };
      if (path === '/healthz') return { status: 200, text: async () => '{"status":"ok","build":"two"}' };
      return given?.(path, how) ?? Promise.reject();
    });
    stream().break();
    await pass(soonest + 1_000);
    expect(fetch).toHaveBeenLastCalledWith('/healthz', expect.anything());
    stream().picture(display(scenes.paid(), { revision: 50 }));
    answer();
    await pass(1_000);
    expect(reload).not.toHaveBeenCalled();
  });

  it('is loaded by a page that was lost meanwhile', async () => {
    const { given, stream, reload } = await opened('customer', {
      '/healthz': [200, { status: 'ok', build: 'two' }],
    });
    given['/door/me'] = null;
    stream().break();
    await pass(60_000);
    given['/door/me'] = [200, { ...me, build: 'two' }];
    await pass(latest + 1_000);
    expect(reload).toHaveBeenCalledTimes(1);
  });

  it('is not loaded where it was before', async () => {
    sessionStorage.setItem('tillbell-renewed-for', 'two');
    const { reload, at } = await renewed();
    await pass(3_000);
    expect(reload).not.toHaveBeenCalled();
    expect(at('/healthz')).toEqual([]);
  });

  it.each<[string, Answer | null]>([
    ['another build answers', [200, { status: 'ok', build: 'three' }]],
    ['something else answers', [200, '<html>']],
    ['it is not well', [503, { status: 'ended', build: 'two' }]],
    ['nothing answers', null],
  ])('is not loaded when %s', async (_, healthy) => {
    const { reload } = await renewed('two', healthy);
    await pass(3_000);
    expect(reload).not.toHaveBeenCalled();
  });

  it('is none while the build stays', async () => {
    const { reload, at } = await renewed('one');
    await pass(3_000);
    expect(reload).not.toHaveBeenCalled();
    expect(at('/healthz')).toEqual([]);
  });

  it('waits for whoever is at work on the page', async () => {
    const field = document.createElement('input');
    document.body.append(field);
    field.focus();
    const { reload } = await renewed();
    await pass(3_000);
    expect(reload).not.toHaveBeenCalled();
    field.remove();
    await pass(1_000);
    expect(reload).toHaveBeenCalledTimes(1);
  });
});

describe('an acknowledgement', () => {
  it('is sent a frame after the paint', async () => {
    const { host, at } = await opened();
    const frames: FrameRequestCallback[] = [];
    vi.stubGlobal('requestAnimationFrame', (callback: FrameRequestCallback) => frames.push(callback));
    const painted = host.painted(3);
    await pass(0);
    expect(at('/door/ask')).toEqual([]);
    frames[0]?.(0);
    await painted;
    expect(at('/door/ask')).toEqual([{ ask: 'painted', showing: 3 }]);
  });

  it('says again what was not heard, for as long as the showing is on the glass', async () => {
    const { host, at, given, stream } = await opened('customer', { '/door/ask': null });
    const paid = (showing: number, revision: number) => display(scenes.paid({ showing }), { revision });
    stream().picture(paid(3, 41));
    const painted = host.painted(3);
    await pass(2_500);
    expect(at('/door/ask').length).toBe(3);
    given['/door/ask'] = [200, { answer: 'done' }];
    await pass(1_000);
    await painted;
    given['/door/ask'] = null;
    stream().picture(paid(4, 42));
    const stale = host.painted(3);
    const outcome = expect(stale).rejects.toContain('does not answer');
    await pass(100);
    await outcome;
  });
});

describe('what a browser does by itself', () => {
  it('does not reach the server', async () => {
    const { host, at } = await opened('operator');
    await host.flashLayout(null);
    const request = vi.fn(async () => {});
    document.documentElement.requestFullscreen = request;
    await host.toggleFullScreen();
    expect(request).toHaveBeenCalledTimes(1);
    expect(at('/door/ask')).toEqual([]);
  });

  it('is refused in a sentence where it lets no page fill the screen', async () => {
    const { host } = await opened('operator');
    document.documentElement.requestFullscreen = () =>
      Promise.reject(new TypeError('Permissions check failed'));
    await expect(host.toggleFullScreen()).rejects.toContain('does not let a page fill the screen');
  });

  it('is to let a customer’s tap pass without a word; an operator’s puts the payment away', async () => {
    const customer = await opened('customer');
    await customer.host.dismissShowing(3);
    expect(customer.at('/door/ask')).toEqual([]);
    const operator = await opened('operator');
    await operator.host.dismissShowing(3);
    expect(operator.at('/door/ask')).toEqual([{ ask: 'dismiss-showing', showing: 3 }]);
  });
});

describe('a request', () => {
  it('is sent as it is, and its answer comes back', async () => {
    const code = { text: 'beans@tillbell.example', modules: 25, path: 'M0 0h7v1h-7z' };
    const { host, at, fetch } = await opened('customer', {
      '/door/ask': [200, { answer: 'pay-code', code }],
    });
    expect(await host.payCode(4)).toEqual(code);
    expect(at('/door/ask')).toEqual([{ ask: 'pay-code', id: 4 }]);
    expect(fetch).toHaveBeenLastCalledWith(
      '/door/ask',
      expect.objectContaining({ method: 'POST', headers: { 'Content-Type': 'application/json' } }),
    );
  });

  it('that the engine refuses has its sentence', async () => {
    const why = said('The demo is for the window.');
    const { host } = await opened('operator', { '/door/ask': [200, { answer: 'refused', sentence: why }] });
    await expect(host.tryDemo()).rejects.toEqual(why);
  });

  it.each<[string, Answer | null, string]>([
    ['nothing answers', null, 'Tillbell does not answer.'],
    [
      'the server says why',
      [403, refused('not-allowed', 'This display may not do that.')],
      'This display may',
    ],
    ['it is no display', [401], 'not a display of this shop any more'],
    ['it is not allowed', [403], 'may not do that'],
    ['too much is asked', [429], 'Wait a minute'],
    ['the server fails', [502, '<html>Bad gateway</html>'], 'could not do that (502)'],
    ['something else answers', [200, '<html>'], 'Something else than Tillbell answered'],
  ])('is refused in a sentence for people when %s', async (_, answer, words) => {
    const { host } = await opened('operator', { '/door/ask': answer });
    const reason = await host.testRing().catch((reason: unknown) => reason);
    expect(sentence(reason)).toContain(words);
  });
});

it('says that a shop’s own trouble is the shop’s, not the line’s', async () => {
  const { stream, last } = await opened();
  const unreliable = { since: '2026-11-24T14:03:00Z', detail: null };
  stream().picture(display(scenes.idle(), { revision: 41, link: lost(27), unreliable }));
  expect(last()?.unreliable).toEqual(unreliable);
});
