import { Channel, invoke } from '@tauri-apps/api/core';
import type { Display } from './generated/Display';
import type { Host } from './types';

/** The desktop shell: each request is the Tauri command of the same name. */
export const host: Host = {
  subscribe(draw) {
    const pictures = new Channel<Display>();
    pictures.onmessage = draw;
    return invoke('subscribe', { pictures });
  },
  painted: (showing) => invoke('painted', { showing }),
  heartbeat: (beat) => invoke('heartbeat', { beat }),

  previewPairing: (text) => invoke('preview_pairing', { text }),
  pair: (form) => invoke('pair', { form }),
  cancelPairing: () => invoke('cancel_pairing'),
  openWelcome: () => invoke('open_welcome'),
  leaveWelcome: () => invoke('leave_welcome'),
  tryDemo: () => invoke('try_demo'),

  settings: () => invoke('settings'),
  changeSettings: (form) => invoke('change_settings', { form }),
  unpair: (name) => invoke('unpair', { name }),
  renameWallet: (name, to) => invoke('rename_wallet', { name, to }),
  testRing: () => invoke('test_ring'),

  dismissNotice: (id) => invoke('dismiss_notice', { id }),
  dismissShowing: (showing) => invoke('dismiss_showing', { showing }),
  toggleFullScreen: () => invoke('toggle_full_screen'),
};
