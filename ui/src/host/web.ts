import type { Presence } from './generated/Presence';
import type { Reply } from './generated/Reply';
import type { Request } from './generated/Request';
import { hostBehind } from './host';
import type { Door, Host } from './types';
import { keepAwake } from './web/awake';
import { Bell } from './web/bell';
import { type Answer, call, refusal } from './web/call';
import { Glass } from './web/glass';
import { Line } from './web/line';
import { Renewal } from './web/renewal';

/** How often it is looked whether the server is silent. */
const looks = 1_000;

/** What was not heard is said again after this. */
const again = 1_000;

const done: Reply = { answer: 'done' };

/** A browser that is a display of the server that this page is from; for good, or until `over`. */
export function webHost(over: AbortSignal = new AbortController().signal): Host {
  let glass: Glass | null = null;
  let line: Line | null = null;
  let bell: Bell | null = null;
  let isAwake = () => false;

  const presence = (): Presence => ({
    visible: document.visibilityState === 'visible',
    sound: bell?.isHeard ?? false,
    awake: isAwake(),
  });

  const door: Door = {
    async subscribe(draw) {
      const rung = new Bell(() => drawn.again(), over);
      const drawn = new Glass((display) => draw({ ...display, sound: rung.view(display.sound) }));
      const renewal = new Renewal(() => drawn.isCalm);
      const kept = new Line(drawn, rung, renewal, tokenOf(location));
      [glass, line, bell] = [drawn, kept, rung];
      isAwake = keepAwake(over);

      const look = () => {
        drawn.check();
        kept.check();
        void renewal.consider();
      };
      // A page that was frozen comes back with an old picture: what is said of that must be there before anybody sees it.
      const comeBack = () => {
        if (document.visibilityState !== 'visible') return;
        look();
        kept.hurry();
      };
      const timer = setInterval(look, looks);
      over.addEventListener('abort', () => clearInterval(timer));
      document.addEventListener('visibilitychange', comeBack, { signal: over });
      for (const name of ['pageshow', 'online']) window.addEventListener(name, comeBack, { signal: over });
      void kept.keep(over);
    },

    /** What a browser does by itself, and what is not a customer's to ask, does not go to the server. */
    async ask(request) {
      switch (request.ask) {
        case 'flash-layout':
          return done;
        case 'toggle-full-screen':
          await toggleFullScreen();
          return done;
        case 'dismiss-showing':
          return glass?.role === 'operator' ? asked(request) : done;
        case 'heartbeat':
          return line?.isOpen ? asked({ ...request, presence: presence() }) : done;
        case 'painted':
          // There is no shell that knows when a frame was shown: by the next one, the first has been.
          await new Promise(requestAnimationFrame);
          return untilHeard(request, () => glass?.showing === request.showing);
        default:
          return asked(request);
      }
    },
  };
  return hostBehind(door);
}

/** The token of the link with which this page was opened. */
function tokenOf({ pathname, hash }: Location): string | null {
  return pathname === '/join' ? (/^#([0-9a-f]{64})$/i.exec(hash)?.[1] ?? null) : null;
}

async function asked(request: Request): Promise<Reply> {
  const answer = await call('/door/ask', request).catch(() => {
    throw 'Tillbell does not answer. See that the computer that runs it is on and in the same network, and try again.';
  });
  if (answer.status !== 200) throw refusal(answer) ?? refusedWords(answer);
  if (answer.said === null) throw 'Something else than Tillbell answered. Load the page anew.';
  return answer.said as Reply;
}

/** Asks again and again while it matters: a payment whose word was lost would be taken for unseen. */
async function untilHeard(request: Request, matters: () => boolean): Promise<Reply> {
  for (;;) {
    try {
      return await asked(request);
    } catch (reason) {
      if (!matters()) throw reason;
      await new Promise((over) => setTimeout(over, again));
    }
  }
}

/** Where an answer does not say by itself why it is none. */
function refusedWords({ status }: Answer): string {
  switch (status) {
    case 401:
      return 'This screen is not a display of this shop any more. Load the page anew, and let somebody allow it.';
    case 403:
      return 'This screen may not do that.';
    case 429:
      return 'Too much was asked at once. Wait a minute and try again.';
    default:
      return `Tillbell could not do that (${status}). Please try again.`;
  }
}

async function toggleFullScreen(): Promise<void> {
  try {
    await (document.fullscreenElement
      ? document.exitFullscreen()
      : document.documentElement.requestFullscreen());
  } catch {
    throw 'This browser does not let a page fill the screen. Use its own key or menu for that.';
  }
}

export const host = webHost();
