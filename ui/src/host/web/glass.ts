import type { Display } from '../generated/Display';
import type { LinkView } from '../generated/LinkView';
import type { Role } from '../generated/Role';
import type { Scene } from '../generated/Scene';
import type { Sentence } from '../generated/Sentence';
import { type Moment, now, since } from './moment';

/** Whoever hears nothing for so long does not know what is true any more. */
export const silence = 12_000;

const noContact: Sentence = {
  code: 'no-contact',
  args: {},
  text: 'This screen has lost Tillbell. It tries again by itself; see that the computer that runs Tillbell is on and in the same network.',
};

const calm: Scene = { name: 'idle', payCode: null, last: null, pending: [] };

/** What is known of a shop that was never heard. */
const nothing: Display = {
  revision: 0,
  role: 'customer',
  scene: calm,
  link: { state: 'connecting', detail: null, untrustedSince: null },
  wallets: [],
  moreWallets: 0,
  unreliable: null,
  sound: 'on',
  demo: false,
  notices: [],
  theme: 'auto',
  shop: null,
};

/** What this page draws: the server's pictures, or that there are none. */
export class Glass {
  /** The server's last picture. */
  #picture = nothing;
  #heard = now();
  /** What is said in place of that picture. */
  #trouble: string | null = null;
  #drawn = 0;
  /** What is on the glass. */
  #shown: Display | null = null;

  constructor(private readonly draw: (display: Display) => void) {}

  /** For whom the pictures are. */
  get role(): Role {
    return this.#picture.role;
  }

  /** The showing that is on the glass. */
  get showing(): number | null {
    const { scene } = this.#picture;
    const isTold = this.#trouble === null && (scene.name === 'paid' || scene.name === 'catch-up');
    return isTold ? scene.showing : null;
  }

  /** Nothing is told. */
  get isCalm(): boolean {
    return this.#shown?.scene.name === 'idle';
  }

  show(picture: Display): void {
    // A server that started anew counts its showings from the beginning: one that is still on the glass must not be taken for its.
    if (picture.revision < this.#picture.revision) this.#put({ ...this.#picture, scene: calm });
    this.#put(picture);
    this.#picture = picture;
    this.#trouble = null;
    this.hear();
  }

  /** What is around the pictures has changed. */
  again(): void {
    if (this.#shown !== null) this.#put(this.#shown);
  }

  /** The server lives. */
  hear(): void {
    this.#heard = now();
  }

  /** The server lives, and does not let this page be a display. */
  refuse(why: Sentence): void {
    this.#mistrust(why, now());
    this.hear();
  }

  /** Says so when the server is silent. */
  check(): void {
    if (since(this.#heard) >= silence) this.#mistrust(noContact, this.#heard);
  }

  #mistrust(detail: Sentence, from: Moment): void {
    if (this.#trouble === detail.text) return;
    const at = new Date(from.wall).toISOString();
    const link: LinkView = { state: 'down', detail: null, untrustedSince: at };
    this.#put({
      ...this.#picture,
      scene: calm,
      link,
      wallets: this.#picture.wallets.map(({ name }) => ({ name, link })),
      unreliable: { since: at, detail },
    });
    this.#trouble = detail.text;
  }

  /** Numbered here: a server that started anew has small numbers again, and its pictures are newer all the same. */
  #put(display: Display): void {
    this.#drawn += 1;
    this.draw({ ...display, revision: this.#drawn });
    this.#shown = display;
  }
}
