import { expect, it, vi } from 'vitest';
import { settingsView } from '../testing/rehearsal';
import type { Reply } from './generated/Reply';
import { hostBehind } from './host';
import { drawnCode } from './samples';
import type { Door } from './types';

function behind(reply: Reply) {
  const ask = vi.fn<Door['ask']>(async () => reply);
  return { ask, host: hostBehind({ ask, subscribe: async () => {} }) };
}

const form = { pairing: 'p', invoiceKey: null, name: null, allowInsecure: false };
const done = behind({ answer: 'done' });
const settings = behind({ answer: 'settings', settings: settingsView });

it.each([
  [{ ask: 'painted', showing: 3 }, () => done.host.painted(3)],
  [{ ask: 'heartbeat', beat: 1 }, () => done.host.heartbeat(1)],
  [{ ask: 'pair', form }, () => done.host.pair(form)],
  [{ ask: 'cancel-pairing' }, () => done.host.cancelPairing()],
  [{ ask: 'open-welcome' }, () => done.host.openWelcome()],
  [{ ask: 'leave-welcome' }, () => done.host.leaveWelcome()],
  [{ ask: 'try-demo' }, () => done.host.tryDemo()],
  [{ ask: 'test-ring' }, () => done.host.testRing()],
  [{ ask: 'dismiss-notice', id: 2 }, () => done.host.dismissNotice(2)],
  [{ ask: 'dismiss-showing', showing: 3 }, () => done.host.dismissShowing(3)],
  [{ ask: 'toggle-full-screen' }, () => done.host.toggleFullScreen()],
])('asks for %o', async (request, asked) => {
  done.ask.mockClear();
  expect(await asked()).toBeUndefined();
  expect(done.ask).toHaveBeenCalledExactlyOnceWith(request);
});

it.each([
  [{ ask: 'settings' }, () => settings.host.settings()],
  [{ ask: 'change-settings', form: { volume: 5 } }, () => settings.host.changeSettings({ volume: 5 })],
  [{ ask: 'unpair', name: 'Bar' }, () => settings.host.unpair('Bar')],
  [{ ask: 'rename', name: 'Bar', to: 'Inn' }, () => settings.host.renameWallet('Bar', 'Inn')],
])('asks for %o and has the settings', async (request, asked) => {
  settings.ask.mockClear();
  expect(await asked()).toEqual(settingsView);
  expect(settings.ask).toHaveBeenCalledExactlyOnceWith(request);
});

it('has what was understood of a text, and the drawing of a pay code', async () => {
  const preview = { server: 's', name: null, needsKey: true, insecure: false, remarks: [] };
  const kind = { code: 'address', args: {}, text: 'an address' };
  const understood = behind({ answer: 'preview', preview: { ...preview, kind } });
  expect(await understood.host.previewPairing('t')).toEqual({ ...preview, kind });
  const drawn = behind({ answer: 'pay-code', code: drawnCode });
  expect(await drawn.host.payCode(4)).toEqual(drawnCode);
  expect(drawn.ask).toHaveBeenCalledExactlyOnceWith({ ask: 'pay-code', id: 4 });
});

it('rejects with the sentence of a refusal', async () => {
  const sentence = { code: 'not-allowed', args: {}, text: 'Not here.' };
  await expect(behind({ answer: 'refused', sentence }).host.testRing()).rejects.toEqual(sentence);
});

it('rejects what is no answer to the question', async () => {
  await expect(done.host.settings()).rejects.toContain('different versions');
});
