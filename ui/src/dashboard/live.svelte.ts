import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import type { LinkState } from '../host/generated/LinkState';
import type { Sentence } from '../host/generated/Sentence';
import { ask, Refused, type Source, server } from './api';
import { joined, keyOf, meets, renewed, withNew } from './merge';
import { everything, type Filters, isEverything, pageSize, paymentsPath } from './query';
import type { Happening, Page, Payment, Status, Today } from './types';

/** How often the server is asked how everything is. */
export const beat = 10_000;
/** After so long without a word this page says that it is not connected. */
export const silence = 12_000;
/** What has changed is read again once in this time at most. */
export const restBetween = 1_000;
/** The chart is of so many payments at most, the latest ones. */
export const mostInChart = 2_000;

const retries = [500, 1_000, 2_000, 4_000, 5_000];
/** So many payments are read at once, for the chart. */
const together = 1_000;

/** What the shop's server tells, kept up to date. */
export class Live {
  /** How this page hears the server. */
  link = $state<LinkState>('connecting');
  /** When it was heard last, once it is not heard any more. */
  lostSince = $state<number | null>(null);
  /** Why this browser may not see anything. */
  refusal = $state.raw<Sentence | null>(null);

  today = $state.raw<Today | null>(null);
  /** Why there are no figures. */
  todayTrouble = $state<string | null>(null);

  ofToday = $state.raw<Payment[]>([]);
  /** There are more of today than the chart has. */
  isCut = $state(false);

  filters = $state.raw<Filters>(everything);
  page = $state.raw<Page | null>(null);
  /** The page, counted from 1. */
  pageNumber = $state(1);
  pageTrouble = $state<string | null>(null);
  /** Payments whose details are shown, … */
  readonly open = new SvelteSet<string>();
  /** … and those that came while somebody looked. */
  readonly fresh = new SvelteSet<string>();

  status = $state.raw<Status | null>(null);
  /** What is said of a wallet's link. */
  readonly details = new SvelteMap<string, string | null>();

  readonly #source: Source;
  /** Called around a change of the first page, so that what somebody looks at stays where it is. */
  readonly #steadily: (change: () => void) => void;

  #over = false;
  #heard = 0;
  #silent: Timer;
  #beats: Timer;
  #retry: Timer;
  #rest: Timer;
  #stream: EventSource | null = null;
  #isStreaming = false;
  #streamLost = 0;
  #failures = 0;
  #isAsking = false;
  #lastRead = Number.NEGATIVE_INFINITY;
  #isReading = false;
  #isStale = false;
  /** The day that the chart is of; null where it is to be read as a whole. */
  #chartDate: string | null = null;
  /** Where the pages before began. */
  #trail: (string | null)[] = [null];
  /** What the page that is shown was asked by. */
  #shownFor: Filters | null = null;
  /** How often somebody turned to another page, and whether that one is still awaited. */
  #turns = 0;
  #isTurning = false;

  constructor(source: Source = server, steadily: (change: () => void) => void = (change) => change()) {
    this.#source = source;
    this.#steadily = steadily;
  }

  /** Begins; returns how to stop it. */
  begin(): () => void {
    this.#streamLost = Date.now();
    this.#heard = Date.now();
    this.#waitForSilence();
    this.#listen();
    void this.#beat();
    const awake = () => {
      if (document.visibilityState !== 'visible') return;
      // Timers stand still while a machine sleeps: what is shown may be old.
      if (Date.now() - this.#heard >= silence && this.link !== 'down') this.link = 'connecting';
      this.#waitForSilence();
      void this.#beat();
    };
    document.addEventListener('visibilitychange', awake);
    return () => {
      this.#over = true;
      document.removeEventListener('visibilitychange', awake);
      for (const timer of [this.#silent, this.#beats, this.#retry, this.#rest]) clearTimeout(timer);
      this.#hangUp();
    };
  }

  // ── Pages ─────────────────────────────────────────────────────────────────────────────────────────

  /** Looks for others, from the newest on. */
  async find(filters: Filters): Promise<void> {
    this.filters = filters;
    this.#trail = [null];
    this.pageNumber = 1;
    await this.#turnTo([null]);
  }

  async older(): Promise<void> {
    const next = this.page?.next;
    if (next) await this.#turnTo([...this.#trail, next]);
  }

  async newer(): Promise<void> {
    if (this.#trail.length > 1) await this.#turnTo(this.#trail.slice(0, -1));
  }

  toggle(key: string): void {
    if (!this.open.delete(key)) this.open.add(key);
  }

  async #turnTo(trail: (string | null)[]): Promise<void> {
    this.#turns += 1;
    const turn = this.#turns;
    this.#isTurning = true;
    const page = await this.#readPage(trail, turn);
    if (turn !== this.#turns) return;
    this.#isTurning = false;
    if (page !== null) {
      this.#trail = trail;
      this.pageNumber = trail.length;
      this.open.clear();
      this.fresh.clear();
      this.#shownFor = this.filters;
      this.page = page;
    }
    // Something may have come that this page does not have yet.
    this.#changed();
  }

  /** Null where it was refused, or where somebody turned to another page meanwhile. */
  async #readPage(trail: (string | null)[], turn: number): Promise<Page | null> {
    let page: Page | null = null;
    let trouble: string | null = null;
    try {
      page = await this.#ask<Page>(paymentsPath(this.filters, pageSize, trail.at(-1)));
    } catch (reason) {
      trouble = troubleOf(reason);
    }
    if (turn !== this.#turns) return null;
    this.pageTrouble = trouble;
    return page;
  }

  // ── Reading ───────────────────────────────────────────────────────────────────────────────────────

  async #ask<T>(path: string): Promise<T> {
    try {
      const answer = await ask<T>(this.#source, path);
      this.#hear();
      return answer;
    } catch (reason) {
      if (reason instanceof Refused) {
        this.#hear();
        if (reason.isForGood) this.#refuse(reason.said);
      }
      throw reason;
    }
  }

  /** Asks how everything is, and goes on asking. */
  async #beat(): Promise<void> {
    clearTimeout(this.#beats);
    if (this.#over) return;
    this.#beats = setTimeout(() => void this.#beat(), beat);
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      this.status = await this.#ask<Status>('/api/status');
      if (this.#over) return;
      this.refusal = null;
      if (this.#stream === null && this.#retry === undefined) this.#listen();
      const known = this.today;
      await this.#readToday();
      const today = this.today;
      // So a day ends, and so it is noticed that something came while no event could say so.
      if (!this.#isStreaming || known?.date !== today?.date || known?.count !== today?.count) this.#changed();
    } catch {
      // It was refused, or nobody answered: then it is silent.
    } finally {
      this.#isAsking = false;
    }
  }

  /** Something came: reads it, at once, or after a rest. */
  #changed(): void {
    if (this.#over || this.#rest !== undefined) return;
    const wait = Math.max(0, this.#lastRead + restBetween - Date.now());
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      this.#lastRead = Date.now();
      void this.#readAll();
    }, wait);
  }

  async #readAll(): Promise<void> {
    if (this.#isReading) {
      this.#isStale = true;
      return;
    }
    this.#isReading = true;
    await Promise.all([this.#readToday().then(() => this.#readChart()), this.#readNewest()]);
    this.#isReading = false;
    if (this.#isStale) this.#changed();
    this.#isStale = false;
  }

  async #readToday(): Promise<void> {
    try {
      this.today = await this.#ask<Today>('/api/today');
      this.todayTrouble = null;
    } catch (reason) {
      this.todayTrouble = troubleOf(reason);
    }
  }

  async #readChart(): Promise<void> {
    const date = this.today?.date;
    if (date === undefined) return;
    const known = this.#chartDate === date ? this.ofToday : [];
    const wasCut = this.#chartDate === date && this.isCut;
    const told: Payment[] = [];
    let isCut = wasCut;
    try {
      for (let after: string | null = null; ; ) {
        const limit = known.length > 0 ? pageSize : together;
        const page: Page = await this.#ask(paymentsPath({ from: date, to: date }, limit, after));
        told.push(...page.payments);
        after = page.next;
        if (after === null || meets(known, page.payments)) break;
        if (told.length >= mostInChart) {
          isCut = true;
          break;
        }
      }
    } catch {
      // The figures say what is wrong.
      return;
    }
    const all = joined(known, told);
    this.isCut = isCut || all.length > mostInChart;
    this.ofToday = all.slice(0, mostInChart);
    this.#chartDate = date;
  }

  /** What is new on the first page. */
  async #readNewest(): Promise<void> {
    if (this.#trail.length > 1 || this.#isTurning) return;
    const page = await this.#readPage([null], this.#turns);
    if (page === null) return;
    this.#show((shown) => renewed(shown, page, this.open), page);
  }

  /** Changes the first page; what is new on it is marked. */
  #show(change: (shown: Page) => Page, otherwise: Page): void {
    const shown = this.page;
    if (shown === null || this.#shownFor !== this.filters) {
      this.#shownFor = this.filters;
      this.page = otherwise;
      return;
    }
    const keys = new Set(shown.payments.map(keyOf));
    const newest = shown.payments[0]?.seq ?? 0;
    this.#steadily(() => {
      const page = change(shown);
      for (const payment of page.payments) {
        if (payment.seq > newest && !keys.has(keyOf(payment))) this.fresh.add(keyOf(payment));
      }
      this.page = page;
    });
  }

  // ── Events ────────────────────────────────────────────────────────────────────────────────────────

  #listen(): void {
    this.#retry = undefined;
    if (this.#over || this.refusal !== null) return;
    const stream = this.#source.events('/api/events');
    this.#stream = stream;
    stream.onopen = () => {
      this.#isStreaming = true;
      this.#failures = 0;
      this.#hear();
      // Whatever came before it was open is read; what comes now is heard.
      this.#chartDate = null;
      this.#changed();
    };
    stream.onmessage = (event: MessageEvent<string>) => {
      this.#hear();
      this.#happen(event);
    };
    stream.onerror = () => this.#tryAgain();
  }

  #tryAgain(): void {
    this.#hangUp();
    const wait = retries[Math.min(this.#failures, retries.length - 1)];
    this.#failures += 1;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#listen(), wait);
    // An event source does not tell why it failed: the answer to a question does.
    void this.#beat();
  }

  #hangUp(): void {
    this.#stream?.close();
    this.#stream = null;
    if (!this.#isStreaming) return;
    this.#isStreaming = false;
    this.#streamLost = Date.now();
    if (this.link === 'live') this.link = 'connecting';
  }

  #happen({ data, lastEventId }: MessageEvent<string>): void {
    const happening = read(data);
    if (happening?.event === 'link') {
      const { wallet: name, state, detail } = happening;
      this.details.set(name, detail);
      if (this.status === null) return;
      const wallets = this.status.wallets.map((wallet) => (wallet.name === name ? { name, state } : wallet));
      this.status = { ...this.status, wallets };
    } else if (happening?.event === 'payment') {
      const { event: _, ...payment } = happening;
      const seq = Number(lastEventId);
      const isShown = this.#trail.length === 1 && isEverything(this.filters) && !this.#isTurning;
      if (seq > 0 && isShown && this.page !== null && this.#shownFor === this.filters) {
        this.#show((shown) => withNew(shown, { ...payment, seq }, this.open), this.page);
      }
      this.#changed();
    }
  }

  // ── Whether anything is heard ─────────────────────────────────────────────────────────────────────

  #hear(): void {
    if (this.#over) return;
    this.#heard = Date.now();
    this.lostSince = null;
    if (this.#isStreaming) this.link = 'live';
    else this.link = Date.now() - this.#streamLost < silence ? 'connecting' : 'polling';
    this.#waitForSilence();
  }

  #waitForSilence(): void {
    clearTimeout(this.#silent);
    this.#silent = setTimeout(() => {
      // Nobody looks, and a hidden page's timers are late.
      if (document.visibilityState === 'hidden') return;
      this.link = 'down';
      this.lostSince = this.#heard;
      // A connection that tells nothing may be none any more.
      if (this.#stream !== null) this.#tryAgain();
    }, silence);
  }

  #refuse(why: Sentence): void {
    this.refusal = why;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#hangUp();
  }
}

type Timer = ReturnType<typeof setTimeout> | undefined;

function troubleOf(reason: unknown): string | null {
  // Who may not ask is told so by itself, and a server that does not answer, too.
  return reason instanceof Refused && !reason.isForGood ? reason.said.text : null;
}

function read(data: string): Happening | null {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
