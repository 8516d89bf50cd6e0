import type { Display } from '../generated/Display';
import type { Sentence } from '../generated/Sentence';
import type { Bell } from './bell';
import { type Answer, call, refusal, textIn } from './call';
import { type Glass, silence } from './glass';
import { now, since } from './moment';
import type { Renewal } from './renewal';

/** A page that waits to be allowed asks this often. */
export const knocks = 2_000;
/** After a line was lost it is tried again, sooner at first. */
export const soonest = 500;
export const latest = 5_000;

const linkRefused: Sentence = {
  code: 'wrong-token',
  args: {},
  text: 'This link was used already, or is too old: ask for a new one.',
};

/** What only this page knows: whoever allows its letters allows this page and no other. */
function secret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The line to the server: becomes a display where this browser is none, and brings the pictures. */
export class Line {
  readonly #nonce = secret();
  /** The link with which this page was opened. */
  #token: string | null;
  #linkRefused: Sentence | null = null;
  /** Its letters are shown. A revoked browser asks no longer who it is: to be wrong too often is to be locked out. */
  #isStranger = false;
  #pause = soonest;
  #hurry = () => {};
  #stream: { heard: ReturnType<typeof now>; end: () => void } | null = null;

  constructor(
    private readonly glass: Glass,
    private readonly bell: Bell,
    private readonly renewal: Renewal,
    token: string | null,
  ) {
    this.#token = token;
  }

  /** Pictures come. */
  get isOpen(): boolean {
    return this.#stream !== null;
  }

  async keep(over: AbortSignal): Promise<void> {
    over.addEventListener('abort', () => this.#stream?.end());
    while (!over.aborted) await this.#rest(await this.#round());
  }

  /** Gives up a stream that says nothing. */
  check(): void {
    if (this.#stream !== null && since(this.#stream.heard) >= silence) this.#stream.end();
  }

  /** Somebody looks, or the network is back: waits no longer. It may have become a display in another tab. */
  hurry(): void {
    this.#isStranger = false;
    this.#hurry();
  }

  /** One attempt, for as long as it goes well. Returns how long to wait before the next. */
  async #round(): Promise<number> {
    try {
      const refused = this.#token === null ? null : await this.#join(this.#token);
      if (refused !== null) return this.#turnedAway(refused);
      if (this.#isStranger) return await this.#knock();
      const answer = await call('/door/me');
      if (answer.status === 401) return await this.#knock();
      const build = textIn(answer.said, 'build');
      if (answer.status !== 200 || build === null) return this.#turnedAway(answer);
      this.#linkRefused = null;
      this.renewal.see(build);
      if (await this.#follow()) this.#pause = soonest;
      return this.#later();
    } catch {
      // Nothing answers, or it is not Tillbell. That is silence, and the glass says so in time.
      return this.#later();
    }
  }

  /** Uses the link. Its token leaves the address bar in any case. Returns an answer that decides nothing. */
  async #join(token: string): Promise<Answer | null> {
    let answer: Answer;
    try {
      answer = await call('/door/join', { token, nonce: this.#nonce });
    } finally {
      history.replaceState(null, '', '/');
    }
    if (answer.status !== 204 && answer.status !== 401) return answer;
    this.#token = null;
    // Said only if this browser is no display: one that has joined may open its link again.
    if (answer.status === 401) this.#linkRefused = refusal(answer) ?? linkRefused;
    return null;
  }

  /** Shows its letters until somebody allows them. */
  async #knock(): Promise<number> {
    const answer = await call('/door/knock', { nonce: this.#nonce });
    this.#isStranger = answer.status === 200;
    if (answer.status === 204) return this.#later();
    if (answer.status !== 200) return this.#turnedAway(answer);
    const picture = answer.said as Display;
    const notices = this.#linkRefused === null ? [] : [this.#linkRefused];
    this.glass.show({
      ...picture,
      notices: notices.map((sentence) => ({ id: 1, sentence, weight: 'warning' })),
    });
    this.#pause = soonest;
    return knocks;
  }

  /** Draws what comes until nothing does. Returns whether a picture came. */
  #follow(): Promise<boolean> {
    return new Promise((ended) => {
      const source = new EventSource('/door/pictures');
      let delivered = false;
      const stream = {
        heard: now(),
        end: () => {
          // It would connect by itself again, when it likes and as whoever it was.
          source.close();
          this.#stream = null;
          ended(delivered);
        },
      };
      const hear = () => {
        stream.heard = now();
        this.glass.hear();
      };
      source.addEventListener('picture', ({ data }) => {
        let picture: Display;
        try {
          picture = JSON.parse(data);
          this.glass.show(picture);
        } catch (reason) {
          // A picture that cannot be drawn must not leave an older one there, which beats would keep.
          stream.end();
          throw reason;
        }
        this.bell.see(picture);
        delivered = true;
        hear();
      });
      source.addEventListener('me', ({ data }) => this.bell.turn(JSON.parse(data).sound === true));
      source.addEventListener('beat', hear);
      source.addEventListener('error', stream.end);
      this.#stream = stream;
    });
  }

  /** Says why, where Tillbell does, and tries again slowly. */
  #turnedAway(answer: Answer): number {
    const why = refusal(answer);
    if (why === null) return this.#later();
    this.glass.refuse(why);
    return latest;
  }

  /** Not at the same moment as every other page that lost the same server. */
  #later(): number {
    const pause = this.#pause * (0.5 + Math.random() / 2);
    this.#pause = Math.min(2 * this.#pause, latest);
    return pause;
  }

  #rest(milliseconds: number): Promise<void> {
    return new Promise((rested) => {
      const timer = setTimeout(rested, milliseconds);
      this.#hurry = () => {
        clearTimeout(timer);
        rested();
      };
    });
  }
}
