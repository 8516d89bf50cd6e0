import { Channel, invoke } from '@tauri-apps/api/core';
import type { Display } from './generated/Display';
import { hostBehind } from './host';
import type { Door } from './types';

/** The desktop shell. */
const door: Door = {
  subscribe(draw) {
    const pictures = new Channel<Display>();
    pictures.onmessage = draw;
    return invoke('subscribe', { pictures });
  },
  ask: (request) => invoke('ask', { request }),
};

export const host = hostBehind(door);
