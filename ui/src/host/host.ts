import type { Reply } from './generated/Reply';
import type { Request } from './generated/Request';
import type { Door, Host } from './types';

type Answer<A extends Reply['answer']> = Extract<Reply, { answer: A }>;

/** The host behind a door. */
export function hostBehind(door: Door): Host {
  async function ask<A extends Reply['answer']>(answer: A, request: Request): Promise<Answer<A>> {
    const reply = await door.ask(request);
    if (reply.answer === 'refused') throw reply.sentence;
    if (reply.answer !== answer)
      throw 'Tillbell and this page are of different versions: load the page anew.';
    return reply as Answer<A>;
  }
  const tell = async (request: Request) => void (await ask('done', request));
  const change = async (request: Request) => (await ask('settings', request)).settings;

  return {
    subscribe: (draw) => door.subscribe(draw),
    painted: (showing) => tell({ ask: 'painted', showing }),
    heartbeat: (beat) => tell({ ask: 'heartbeat', beat }),
    flashLayout: (layout) => tell({ ask: 'flash-layout', layout }),
    payCode: async (id) => (await ask('pay-code', { ask: 'pay-code', id })).code,

    previewPairing: async (text) => (await ask('preview', { ask: 'preview-pairing', text })).preview,
    pair: (form) => tell({ ask: 'pair', form }),
    cancelPairing: () => tell({ ask: 'cancel-pairing' }),
    pairByPhone: () => tell({ ask: 'pair-by-phone' }),
    phoneCode: async () => (await ask('pay-code', { ask: 'phone-code' })).code,
    confirmPairing: (number) => tell({ ask: 'confirm-pairing', number }),
    openWelcome: () => tell({ ask: 'open-welcome' }),
    leaveWelcome: () => tell({ ask: 'leave-welcome' }),
    tryDemo: () => tell({ ask: 'try-demo' }),

    settings: () => change({ ask: 'settings' }),
    changeSettings: (form) => change({ ask: 'change-settings', form }),
    unpair: (name) => change({ ask: 'unpair', name }),
    renameWallet: (name, to) => change({ ask: 'rename', name, to }),
    testRing: () => tell({ ask: 'test-ring' }),

    displays: async () => {
      const { displays, asking } = await ask('displays', { ask: 'displays' });
      return { displays, asking };
    },
    addDisplay: async (role, name) => {
      const { added, code } = await ask('display-added', { ask: 'add-display', role, name });
      return { added, code };
    },
    allowDisplay: async (letters, name) =>
      (await ask('display-allowed', { ask: 'allow-display', letters, name })).name,
    revokeDisplay: (name) => tell({ ask: 'revoke-display', name }),
    soundDisplay: (name, on) => tell({ ask: 'sound-display', name, on }),

    dismissNotice: (id) => tell({ ask: 'dismiss-notice', id }),
    dismissShowing: (showing) => tell({ ask: 'dismiss-showing', showing }),
    toggleFullScreen: () => tell({ ask: 'toggle-full-screen' }),
  };
}
