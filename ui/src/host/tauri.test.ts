import { beforeEach, expect, it, vi } from 'vitest';
import type { Display } from './generated/Display';
import { display, scenes } from './samples';
import { host } from './tauri';

type Message = { index: number; message: Display };

const invoke = vi.fn(async (_command: string, _args?: unknown) => ({ answer: 'done' }));
let deliver: (message: Message) => void;

beforeEach(() => {
  invoke.mockClear();
  // What the shell puts into its windows.
  vi.stubGlobal('__TAURI_INTERNALS__', {
    invoke: (command: string, args: unknown) => invoke(command, args),
    transformCallback: (callback: (message: Message) => void) => {
      deliver = callback;
      return 1;
    },
  });
});

it('asks the shell in the words of the request', async () => {
  await host.painted(3);
  expect(invoke).toHaveBeenCalledExactlyOnceWith('ask', { request: { ask: 'painted', showing: 3 } });
});

it('draws every picture that the shell sends', async () => {
  const draw = vi.fn();
  await host.subscribe(draw);
  expect(invoke).toHaveBeenCalledExactlyOnceWith('subscribe', { pictures: expect.anything() });
  const picture = display(scenes.idle());
  deliver({ index: 0, message: picture });
  expect(draw).toHaveBeenCalledExactlyOnceWith(picture);
});
