import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Display } from '../generated/Display';
import { catchUp, display, scenes } from '../samples';
import { Bell, unseen } from './bell';

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

/** What a browser plays a sound with, as far as a bell goes. */
class Speaker extends EventTarget {
  muted = false;
  currentTime = 7;
  preload = '';
  loads = 0;
  paused = true;

  constructor(
    /** What is loaded. */
    public src: string,
    private readonly room: Room,
  ) {
    super();
  }

  async play() {
    if (this.room.refuses !== null) throw new DOMException('No.', this.room.refuses);
    this.paused = false;
    if (!this.muted) this.room.heard.push(`${this.src} from ${this.currentTime}`);
  }

  pause() {
    this.paused = true;
  }

  load() {
    this.loads += 1;
  }

  end() {
    this.paused = true;
    this.dispatchEvent(new Event('ended'));
  }
}

/** Where it is heard what a page plays, and whether its browser lets it. */
class Room {
  heard: string[] = [];
  refuses: string | null = null;
  /** How the server tells its chime from another one; `null`: it does not answer. */
  tag: string | null = '"counter-80"';
  speakers: Speaker[] = [];
  changed = vi.fn();
  readonly bell: Bell;

  constructor() {
    const over = new AbortController();
    onTestFinished(() => over.abort());
    vi.stubGlobal('fetch', async (path: string, how: RequestInit) => {
      if (this.tag === null) throw new TypeError('Failed to fetch');
      if (how.method !== 'HEAD' || !path.startsWith('/door/chime/')) return { ok: false };
      return { ok: true, headers: new Headers({ etag: this.tag }) };
    });
    const speaker = (address: string) => {
      const made = new Speaker(address, this);
      this.speakers.push(made);
      return made as unknown as HTMLAudioElement;
    };
    this.bell = new Bell(this.changed, over.signal, speaker);
  }

  /** What is heard once these were drawn, one after another. */
  async after(...pictures: Display[]) {
    this.heard = [];
    for (const picture of pictures) {
      this.bell.see(picture);
      await pass(1_000);
    }
    return this.heard;
  }
}

/** A page that is to ring and has drawn its first picture, a calm one. */
async function ringing() {
  const room = new Room();
  room.bell.turn(true);
  await room.after(idle(1));
  return room;
}

const live = '/door/chime/live from 0';
const late = '/door/chime/late from 0';
const idle = (revision: number) => display(scenes.idle(), { revision });
const paid = (showing: number, revision: number, kind: 'live' | 'late' = 'live') =>
  display(scenes.paid({ showing, kind }), { revision });

describe('a bell', () => {
  it('rings once for each payment', async () => {
    const room = await ringing();
    expect(await room.after(paid(1, 2), paid(1, 3), idle(4), paid(2, 5))).toEqual([live, live]);
  });

  it('rings softly for what is late', async () => {
    const room = await ringing();
    expect(await room.after(paid(1, 2, 'late'))).toEqual([late]);
    expect(await room.after(display({ ...catchUp(), showing: 2 }, { revision: 3 }))).toEqual([late]);
  });

  it('does not ring for what was there before the page was', async () => {
    const room = new Room();
    room.bell.turn(true);
    expect(await room.after(paid(7, 1), paid(7, 2))).toEqual([]);
    expect(await room.after(paid(8, 3))).toEqual([live]);
  });

  it('rings for a server that started anew, though its payments have the same numbers', async () => {
    const room = await ringing();
    expect(await room.after(paid(1, 900), paid(1, 2))).toEqual([live, live]);
    expect(await room.after(paid(5, 3), idle(1), paid(5, 2))).toEqual([live, live]);
  });

  it('lets the picture be painted first, and does not wait for a page that nobody sees', async () => {
    const room = await ringing();
    const frames = vi.spyOn(window, 'requestAnimationFrame');
    frames.mockImplementation(() => 0);
    room.bell.see(paid(1, 2));
    await pass(unseen - 1);
    expect(room.heard).toEqual([]);
    await pass(1);
    expect(room.heard).toEqual([live]);
    frames.mockImplementation((paint) => {
      paint(0);
      return 0;
    });
    room.bell.see(paid(2, 3));
    expect(room.heard).toHaveLength(1);
    await pass(0);
    expect(room.heard).toHaveLength(2);
    await pass(unseen);
    expect(room.heard).toHaveLength(2);
  });

  it('takes up another chime after it has rung, and leaves the one that it has', async () => {
    const room = await ringing();
    const sources = () => room.speakers.map(({ src, preload }) => [src, preload]);
    const usual = [
      ['/door/chime/live', 'auto'],
      ['/door/chime/late', 'auto'],
    ];
    await room.after(paid(1, 2));
    room.speakers[0]?.end();
    await pass(0);
    expect(sources()).toEqual(usual);
    room.tag = '"glass-80"';
    await room.after(paid(2, 3));
    expect(sources()).toEqual(usual);
    room.speakers[0]?.end();
    await pass(0);
    expect(sources()).toEqual([['/door/chime/live?%22glass-80%22', 'auto'], usual[1]]);
  });

  it('takes up another chime that was chosen while the server was away, whether that had answered before or not', async () => {
    for (const tag of [null, '"counter-80"']) {
      const room = new Room();
      room.tag = tag;
      room.bell.turn(true);
      await pass(0);
      room.tag = '"glass-80"';
      room.bell.turn(true);
      await pass(0);
      expect(room.speakers.map(({ src }) => src)).toEqual([
        '/door/chime/live?%22glass-80%22',
        '/door/chime/late?%22glass-80%22',
      ]);
    }
  });

  it('does not cut a sound short to take up another one', async () => {
    const room = await ringing();
    await room.after(paid(1, 2));
    room.tag = '"glass-80"';
    room.bell.turn(true);
    await pass(0);
    expect(room.speakers[0]?.src).toBe('/door/chime/live');
    room.speakers[0]?.end();
    await pass(0);
    expect(room.speakers[0]?.src).toContain('glass');
  });

  it('loads its sound again that could not be loaded', async () => {
    const room = await ringing();
    room.refuses = 'NotSupportedError';
    await room.after(paid(1, 2));
    expect(room.speakers[0]?.loads).toBe(1);
    expect(room.bell.isHeard).toBe(true);
    room.refuses = null;
    expect(await room.after(paid(2, 3))).toEqual([live]);
  });
});

describe('a display that is not to ring', () => {
  it('loads nothing, is silent, and says nothing of it', async () => {
    const room = new Room();
    room.bell.turn(false);
    expect(await room.after(idle(1), paid(1, 2))).toEqual([]);
    expect([room.speakers, room.bell.isHeard]).toEqual([[], false]);
    expect(room.bell.view('muted')).toBe('on');
  });

  it('rings from the next payment on when it is told to, and no longer when it is told that', async () => {
    const room = new Room();
    expect(await room.after(idle(1), paid(1, 2))).toEqual([]);
    room.bell.turn(true);
    expect(await room.after(paid(1, 3), paid(2, 4))).toEqual([live]);
    room.bell.turn(false);
    expect(await room.after(paid(3, 5))).toEqual([]);
    expect(room.changed).toHaveBeenCalledTimes(2);
  });

  it('is told so again on each line, and that changes nothing', async () => {
    const room = await ringing();
    room.bell.turn(true);
    expect(room.speakers).toHaveLength(2);
    expect(room.changed).toHaveBeenCalledTimes(1);
  });
});

describe('a browser that holds sound back', () => {
  it('says so before the first payment, without a sound', async () => {
    const room = new Room();
    room.refuses = 'NotAllowedError';
    room.bell.turn(true);
    await pass(0);
    expect([room.bell.isHeard, room.bell.view('starting'), room.heard]).toEqual([false, 'blocked', []]);
    expect(room.changed).toHaveBeenCalledTimes(2);
  });

  it('may say so at any payment', async () => {
    const room = await ringing();
    expect(room.bell.view('starting')).toBe('starting');
    room.refuses = 'NotAllowedError';
    await room.after(paid(1, 2));
    expect(room.bell.view('starting')).toBe('blocked');
    room.refuses = null;
    expect(await room.after(paid(2, 3))).toEqual([live]);
    expect(room.bell.view('starting')).toBe('starting');
  });

  it('has no say where the shop itself has turned the volume to nothing', async () => {
    const room = await ringing();
    room.refuses = 'NotAllowedError';
    await room.after(paid(1, 2));
    expect(room.bell.view('muted')).toBe('muted');
  });

  it.each(['pointerup', 'click', 'keydown'])('lets go at a %s, which nobody hears', async (touch) => {
    const room = await ringing();
    room.refuses = 'NotAllowedError';
    await room.after(paid(1, 2));
    room.refuses = null;
    window.dispatchEvent(new Event(touch));
    await pass(0);
    expect([room.heard, room.bell.isHeard]).toEqual([[], true]);
    expect(room.speakers.map(({ paused, muted }) => [paused, muted])).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(await room.after(paid(2, 3))).toEqual([live]);
  });

  it('is not tried at each touch once it has let go', async () => {
    const room = await ringing();
    const plays = room.speakers.map((speaker) => vi.spyOn(speaker, 'play'));
    window.dispatchEvent(new Event('click'));
    for (const play of plays) expect(play).not.toHaveBeenCalled();
  });

  it('does not silence a payment that comes with the touch', async () => {
    const room = await ringing();
    room.refuses = 'NotAllowedError';
    await room.after(paid(1, 2));
    room.refuses = null;
    vi.spyOn(window, 'requestAnimationFrame').mockImplementation(() => 0);
    room.bell.see(paid(2, 3));
    await pass(unseen - 1);
    window.dispatchEvent(new Event('click'));
    vi.advanceTimersByTime(1);
    await pass(0);
    expect(room.heard).toEqual([live]);
    expect(room.speakers[0]?.paused).toBe(false);
  });
});
