import { call, textIn } from './call';

/** Where a page that loads itself anew leaves for which build it did. */
const renewedFor = 'tillbell-renewed-for';

/** Loads the page anew once the server has another one, when nobody would notice. */
export class Renewal {
  #first: string | null = null;
  #newer: string | null = null;
  #asks = false;

  constructor(private readonly isCalm: () => boolean) {}

  /** The server says which build it is. */
  see(build: string): void {
    this.#first ??= build;
    this.#newer = build === this.#first ? null : build;
  }

  async consider(): Promise<void> {
    const build = this.#newer;
    if (build === null || this.#asks || !this.#isQuiet()) return;
    if (sessionStorage.getItem(renewedFor) === build) return;
    this.#asks = true;
    // A page that cannot be fetched must not take the place of one that works.
    const answer = await call('/healthz').catch(() => null);
    this.#asks = false;
    if (answer === null || !this.#isQuiet()) return;
    if (answer.status !== 200 || textIn(answer.said, 'build') !== build) {
      this.#newer = null;
      return;
    }
    sessionStorage.setItem(renewedFor, build);
    location.reload();
  }

  /** Nothing is told, and nobody is at work on the page: what was typed would be lost. */
  #isQuiet(): boolean {
    return this.isCalm() && (document.activeElement === null || document.activeElement === document.body);
  }
}
