import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { PairingForm } from '../host/generated/PairingForm';
import type { PairingProgress } from '../host/generated/PairingProgress';
import { type Answer, call, refusal } from '../host/web/call';
import { toBase64Url } from './bytes';
import type { Invitation } from './invitation';
import { numberOf, seal } from './seal';

/** What the phone shows. */
export type Stage =
  | { name: 'claiming' }
  | { name: 'writing'; complaint: string | null }
  | { name: 'trying'; number: string; news: News }
  | { name: 'paired'; shop: string }
  | { name: 'over'; message: string };

/** How far the display is. */
export interface News {
  progress: PairingProgress | null;
  /** Somebody at the display is to say that this is the wallet. */
  toConfirm: boolean;
}

/** Where it is shown, and where the merchant writes. */
export interface Page {
  show(stage: Stage): void;
  /** Says what is in the way at this moment; `null` where nothing is. */
  trouble(text: string | null): void;
  /** What the merchant has written, once they send it. */
  written(): Promise<PairingForm>;
}

/** How long until the display is asked again. */
export const pause = 1_000;

const unreachable =
  'The display cannot be reached. See that this phone is in the same network; this goes on by itself.';

/** This code leads to nothing any more. */
class Over extends Error {}

/** A phone that pairs a display, from the scanned code to the end. */
export class Pairing {
  /** What only this page knows, and never says but sealed: no other takes its place. */
  readonly #secret = crypto.getRandomValues(new Uint8Array(32));
  /** What it is known by. */
  readonly #nonce = bytesToHex(sha256(this.#secret));

  constructor(
    private readonly invitation: Invitation,
    private readonly page: Page,
    private readonly ask = call,
  ) {}

  async run(): Promise<void> {
    try {
      this.page.show({ name: 'claiming' });
      await this.#claim();
      const shop = await this.#untilPaired();
      this.page.show({ name: 'paired', shop });
    } catch (reason) {
      if (!(reason instanceof Over)) throw reason;
      this.page.show({ name: 'over', message: reason.message });
    }
  }

  async #claim(): Promise<void> {
    const claim = bytesToHex(sha256(this.invitation.token));
    const refused = await this.#tell('/pair/claim', { claim, nonce: this.#nonce });
    if (refused !== null) throw new Over(refused);
  }

  /** Sends what is written, again and again, until it is a wallet that somebody at the display takes. */
  async #untilPaired(): Promise<string> {
    for (let complaint: string | null = null; ; ) {
      this.page.show({ name: 'writing', complaint });
      const sealed = this.#sealed(await this.page.written());
      const show = this.#showing(numberOf(this.invitation.publicKey, sealed));
      show({ progress: null, toConfirm: false });
      complaint = await this.#tell('/pair/send', { nonce: this.#nonce, sealed: toBase64Url(sealed) });
      if (complaint !== null) continue;
      const outcome = await this.#outcome(show);
      if (outcome.name === 'paired') return outcome.shop;
      complaint = outcome.sentence.text;
    }
  }

  #sealed(form: PairingForm): Uint8Array {
    const { token } = this.invitation;
    const message = { token: toBase64Url(token), secret: bytesToHex(this.#secret), form };
    return seal(utf8ToBytes(JSON.stringify(message)), this.invitation.publicKey);
  }

  #showing(number: string) {
    return (news: News) => this.page.show({ name: 'trying', number, news });
  }

  /** Shows how far it is until it is decided. Waits first: the display may not have read yet what was just sent. */
  async #outcome(show: (news: News) => void) {
    for (;;) {
      await rest();
      const answer = await this.#asked('/pair/news', { nonce: this.#nonce });
      if (isNews(answer)) {
        this.page.trouble(null);
        const outcome = answer.said.progress?.outcome;
        if (outcome) return outcome;
        show(answer.said);
      } else {
        this.page.trouble((answer && refusal(answer)?.text) ?? unreachable);
      }
    }
  }

  /** Tells the display something until it answers; with why it refuses, where it does. The same words twice are the same to it. */
  async #tell(path: string, told: unknown): Promise<string | null> {
    for (;;) {
      const answer = await this.#asked(path, told);
      const refused = answer && refusal(answer);
      if (answer?.status === 204 || refused) {
        this.page.trouble(null);
        return refused ? refused.text : null;
      }
      this.page.trouble(unreachable);
      await rest();
    }
  }

  /** `null` where nothing answers. */
  async #asked(path: string, told: unknown): Promise<Answer | null> {
    const answer = await this.ask(path, told).catch(() => null);
    if (answer?.status !== 410) return answer;
    this.page.trouble(null);
    throw new Over(refusal(answer)?.text ?? 'This code is used up or too old.');
  }
}

const rest = () => new Promise<void>((over) => setTimeout(over, pause));

function isNews(answer: Answer | null): answer is Answer & { said: News } {
  const said = answer?.said;
  return answer?.status === 200 && typeof said === 'object' && said !== null && 'toConfirm' in said;
}
