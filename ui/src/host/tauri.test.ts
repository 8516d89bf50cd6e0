import { beforeEach, expect, it, vi } from 'vitest';
import type { Display } from './generated/Display';
import { display, scenes } from './samples';
import { host } from './tauri';

type Message = { index: number; message: Display };

const invoke = vi.fn(async (_command: string, _args?: unknown) => {});
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

const form = { pairing: 'p', invoiceKey: null, name: null, allowInsecure: false };

it.each([
  ['painted', { showing: 3 }, () => host.painted(3)],
  ['heartbeat', { beat: 1 }, () => host.heartbeat(1)],
  ['preview_pairing', { text: 't' }, () => host.previewPairing('t')],
  ['pair', { form }, () => host.pair(form)],
  ['cancel_pairing', {}, () => host.cancelPairing()],
  ['open_welcome', {}, () => host.openWelcome()],
  ['leave_welcome', {}, () => host.leaveWelcome()],
  ['try_demo', {}, () => host.tryDemo()],
  ['settings', {}, () => host.settings()],
  ['change_settings', { form: { volume: 5 } }, () => host.changeSettings({ volume: 5 })],
  ['unpair', { name: 'Bar' }, () => host.unpair('Bar')],
  ['rename_wallet', { name: 'Bar', to: 'Inn' }, () => host.renameWallet('Bar', 'Inn')],
  ['test_ring', {}, () => host.testRing()],
  ['dismiss_notice', { id: 2 }, () => host.dismissNotice(2)],
  ['dismiss_showing', { showing: 3 }, () => host.dismissShowing(3)],
  ['toggle_full_screen', {}, () => host.toggleFullScreen()],
])('asks the shell to %s', async (command, args, ask) => {
  await ask();
  expect(invoke).toHaveBeenCalledExactlyOnceWith(command, args);
});

it('draws every picture that the shell sends', async () => {
  const draw = vi.fn();
  await host.subscribe(draw);
  expect(invoke).toHaveBeenCalledExactlyOnceWith('subscribe', { pictures: expect.anything() });
  const picture = display(scenes.idle());
  deliver({ index: 0, message: picture });
  expect(draw).toHaveBeenCalledExactlyOnceWith(picture);
});
