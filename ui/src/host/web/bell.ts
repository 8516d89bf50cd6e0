import type { Display } from '../generated/Display';
import type { Kind } from '../generated/Kind';
import type { SoundView } from '../generated/SoundView';

/** A page that is not painted by then, for nobody sees it, rings all the same. */
export const unseen = 200;

/** What somebody does to a page, by which a browser comes to let it sound. */
const touches = ['pointerup', 'click', 'keydown'];

/** A sound of the shop, ready to be played. */
class Chime {
  readonly element: HTMLAudioElement;
  readonly #path: string;
  /** Which one it is; `null` while the server has not been asked. */
  #tag: string | null = null;

  constructor(kind: Kind, audio: (address: string) => HTMLAudioElement) {
    this.#path = `/door/chime/${kind}`;
    this.element = audio(this.#path);
    this.element.preload = 'auto';
    this.element.addEventListener('ended', () => void this.renew());
    void this.renew();
  }

  /**
   * Takes up another one that the shop has chosen. It is told by its tag and has its own address: Chromium plays what it has of an
   * address for five minutes, whatever the server says.
   */
  async renew(): Promise<void> {
    const tag = await this.#asked();
    const before = this.#tag;
    // What sounds is heard to its end, and then it is asked again.
    if (before !== null && !this.element.paused) return;
    this.#tag = tag ?? before ?? '';
    if (before !== null && this.#tag !== before)
      this.element.src = `${this.#path}?${encodeURIComponent(this.#tag)}`;
  }

  async #asked(): Promise<string | null> {
    try {
      const answer = await fetch(this.#path, { method: 'HEAD', cache: 'no-store' });
      return answer.ok ? answer.headers.get('etag') : null;
    } catch {
      return null;
    }
  }
}

/** This display's bell: it rings once for each payment that comes while the page lives. */
export class Bell {
  /** `null` while this display is not to ring. */
  #chimes: Record<Kind, Chime> | null = null;
  /** The browser lets the page sound only after somebody has touched it. */
  #isBlocked = false;
  /** The last showing; 0 before there was one, `null` before there was a picture. */
  #seen: number | null = null;
  #revision = 0;

  constructor(
    /** What is said of the sound is another thing now. */
    private readonly changed: () => void,
    over: AbortSignal,
    private readonly audio: (address: string) => HTMLAudioElement = (address) => new Audio(address),
  ) {
    const touched = () => {
      if (this.#isBlocked) this.#try();
    };
    for (const name of touches)
      window.addEventListener(name, touched, { signal: over, capture: true, passive: true });
  }

  /** A ring would be heard. */
  get isHeard(): boolean {
    return this.#chimes !== null && !this.#isBlocked;
  }

  /** What is to be said of the sound, when this is what the shop says. */
  view(sound: SoundView): SoundView {
    // Who is not to ring lacks nothing.
    if (this.#chimes === null) return 'on';
    return this.#isBlocked && sound !== 'muted' ? 'blocked' : sound;
  }

  /** The server says whether this display is to ring. */
  turn(on: boolean): void {
    if (on && this.#chimes !== null) {
      // It was away, and the shop may have chosen another sound meanwhile.
      for (const chime of Object.values(this.#chimes)) void chime.renew();
      return;
    }
    if (!on && this.#chimes === null) return;
    this.#chimes = on ? { live: new Chime('live', this.audio), late: new Chime('late', this.audio) } : null;
    this.#isBlocked = false;
    this.#try();
    this.changed();
  }

  /** The server has sent a picture, and it was drawn. */
  see({ revision, scene }: Display): void {
    const isFirst = this.#seen === null;
    // A server that started anew counts its showings from the beginning.
    if (this.#seen === null || revision < this.#revision) this.#seen = 0;
    this.#revision = revision;
    if (scene.name !== 'paid' && scene.name !== 'catch-up') return;
    const isNew = scene.showing !== this.#seen;
    this.#seen = scene.showing;
    // What was there before the page was is over for the ear.
    if (isNew && !isFirst) this.#ringSoon(scene.name === 'paid' ? scene.kind : 'late');
  }

  /** The picture comes first: the bell has time until that was painted. */
  #ringSoon(kind: Kind): void {
    let rung = false;
    const ring = () => {
      if (!rung) this.#ring(kind);
      rung = true;
    };
    requestAnimationFrame(() => setTimeout(ring));
    setTimeout(ring, unseen);
  }

  #ring(kind: Kind): void {
    const sound = this.#chimes?.[kind].element;
    if (sound === undefined) return;
    sound.muted = false;
    sound.currentTime = 0;
    void this.#play(sound);
  }

  /** Plays without a sound. So a browser says whether it lets the page ring, and at somebody's touch comes to do so. */
  #try(): void {
    for (const { element: sound } of Object.values(this.#chimes ?? {})) {
      sound.muted = true;
      void this.#play(sound).then(() => {
        // A payment may have rung meanwhile.
        if (!sound.muted) return;
        sound.pause();
        sound.currentTime = 0;
        sound.muted = false;
      });
    }
  }

  async #play(sound: HTMLAudioElement): Promise<void> {
    try {
      await sound.play();
      this.#block(false);
    } catch (reason) {
      const why = reason instanceof DOMException ? reason.name : '';
      if (why === 'NotAllowedError') this.#block(true);
      // It was not loaded, say: the server was away. The next payment finds it.
      else if (why !== 'AbortError') sound.load();
    }
  }

  #block(isBlocked: boolean): void {
    if (isBlocked === this.#isBlocked || this.#chimes === null) return;
    this.#isBlocked = isBlocked;
    this.changed();
  }
}
