import { failure, progressAt, success } from '../host/samples';
import type { Answer } from '../host/web/call';
import type { News } from '../pair/pairing';

/**
 * A display that is none, for the phone's page: `pair.html?at=AT#` and 64 letters, where AT is `claiming`, `writing`, `failed`,
 * `trying`, `confirm`, `paired`, `over` or `lost`. Without `at` it goes from one to the next.
 */
const at = new URLSearchParams(location.search).get('at');

const heard: Answer = { status: 204, said: null };
const over: Answer = {
  status: 410,
  said: {
    error: {
      code: 'phone-over',
      message: 'Another phone has opened this code, or it is too old: begin again at the display.',
    },
  },
};

export function pretendedDisplay() {
  let asked = 0;
  if (at !== null && ['failed', 'trying', 'confirm', 'paired', 'lost'].includes(at)) sendSomething();

  return async (path: string): Promise<Answer> => {
    if (at === 'claiming') return new Promise(() => {});
    if (at === 'over') return over;
    if (path !== '/pair/news') return heard;
    if (at === 'lost') throw new Error('nothing answers');
    asked += 1;
    return { status: 200, said: news(asked) };
  };
}

function news(asked: number): News {
  switch (at) {
    case 'failed':
      return { progress: failure(), toConfirm: false };
    case 'paired':
      return { progress: success(), toConfirm: false };
    case 'trying':
      return { progress: progressAt(2), toConfirm: false };
    case 'confirm':
      return { progress: progressAt(4), toConfirm: true };
    default:
      return asked < 5
        ? { progress: progressAt(asked), toConfirm: false }
        : { progress: asked < 9 ? progressAt(4) : success(), toConfirm: asked < 9 };
  }
}

/** Writes and sends, once it can. */
function sendSomething() {
  const field = document.querySelector<HTMLTextAreaElement>('[data-role="pairing"]');
  if (field)
    field.value = 'lndhub://invoice:0123456789abcdef0123456789abcdef@https://pay.example.com/lndhub/ext/';
  setTimeout(() => document.querySelector<HTMLButtonElement>('[data-role="pair"]')?.click(), 100);
}
