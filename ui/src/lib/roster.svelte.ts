import type { DisplayRole } from '../host/generated/DisplayRole';
import type { Displays, NewDisplay } from '../host/types';
import { sentence } from './sentence';

/** Between an answer and the next question. */
const pause = 2_000;
/** Long enough that a tap meant for what was there before does not allow a screen unread. */
const tooSoon = 400;

/** A display that is being added, as far as somebody has filled that in. */
export interface Adding {
  role: DisplayRole;
  name: string;
  refused: string | null;
}

/** A display that somebody may revoke. */
export interface Revoking {
  name: string;
  refused: string | null;
}

/** The displays in browsers, and what is being done with them. It outlives their list, which a payment may cover. */
export class Roster {
  /** `null` until the first answer came. Raw: a list is replaced whole, never changed in place. */
  lists = $state.raw<Displays | null>(null);
  /** Why the last question was not answered. */
  unheard = $state<string | null>(null);
  adding = $state<Adding | null>(null);
  /** What is shown once. */
  added = $state.raw<NewDisplay | null>(null);
  revoking = $state<Revoking | null>(null);

  #asked = 0;
  #answers = 0;
  #moved = 0;

  constructor(private readonly ask: () => Promise<Displays>) {}

  /** Asks once. An answer that a newer question has overtaken is of no use any more. */
  look = async (): Promise<void> => {
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const lists = await this.ask();
      if (asked === this.#asked) this.#take(lists);
    } catch (reason) {
      if (asked === this.#asked) this.unheard = sentence(reason);
    }
  };

  /** Asks at once and again and again, until what it returns is called. */
  watch(): () => void {
    let timer: ReturnType<typeof setTimeout>;
    let over = false;
    const again = async () => {
      await this.look();
      if (!over) timer = setTimeout(again, pause);
    };
    again();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }

  /** Nobody has seen any answer before this one. */
  get isFirst(): boolean {
    return this.#answers === 1;
  }

  /** The screens that ask have stood still for a moment. */
  get isSteady(): boolean {
    return performance.now() - this.#moved >= tooSoon;
  }

  /** Forgets everything: no screen may be a display. */
  clear(): void {
    this.lists = this.adding = this.added = this.revoking = this.unheard = null;
  }

  #take(lists: Displays): void {
    const letters = ({ asking }: Displays) => asking.map((line) => line.letters).join();
    if (this.lists === null || letters(this.lists) !== letters(lists)) this.#moved = performance.now();
    this.#answers += 1;
    this.lists = lists;
    this.unheard = null;
    if (!lists.displays.some(({ name }) => name === this.revoking?.name)) this.revoking = null;
  }
}
