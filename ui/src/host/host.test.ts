import { expect, it, vi } from 'vitest';
import { settingsView } from '../testing/rehearsal';
import type { Reply } from './generated/Reply';
import { hostBehind } from './host';
import { asking, displayLines, drawnCode, newDisplay } from './samples';
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
  [{ ask: 'pair-by-phone' }, () => done.host.pairByPhone()],
  [{ ask: 'confirm-pairing', number: '012345' }, () => done.host.confirmPairing('012345')],
  [{ ask: 'open-welcome' }, () => done.host.openWelcome()],
  [{ ask: 'leave-welcome' }, () => done.host.leaveWelcome()],
  [{ ask: 'try-demo' }, () => done.host.tryDemo()],
  [{ ask: 'test-ring' }, () => done.host.testRing()],
  [{ ask: 'revoke-display', name: 'Tablet' }, () => done.host.revokeDisplay('Tablet')],
  [{ ask: 'sound-display', name: 'Tablet', on: true }, () => done.host.soundDisplay('Tablet', true)],
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

it('has what was understood of a text, and the drawings of codes', async () => {
  const preview = { server: 's', name: null, needsKey: true, insecure: false, remarks: [] };
  const kind = { code: 'address', args: {}, text: 'an address' };
  const understood = behind({ answer: 'preview', preview: { ...preview, kind } });
  expect(await understood.host.previewPairing('t')).toEqual({ ...preview, kind });
  const drawn = behind({ answer: 'pay-code', code: drawnCode });
  expect(await drawn.host.payCode(4)).toEqual(drawnCode);
  expect(drawn.ask).toHaveBeenCalledExactlyOnceWith({ ask: 'pay-code', id: 4 });
  expect(await drawn.host.phoneCode()).toEqual(drawnCode);
  expect(drawn.ask).toHaveBeenLastCalledWith({ ask: 'phone-code' });
});

it('has the displays, and what comes of adding and allowing one', async () => {
  const lists = { displays: displayLines(), asking: [asking()] };
  const listed = behind({ answer: 'displays', ...lists });
  expect(await listed.host.displays()).toEqual(lists);
  expect(listed.ask).toHaveBeenCalledExactlyOnceWith({ ask: 'displays' });
  const added = behind({ answer: 'display-added', ...newDisplay() });
  expect(await added.host.addDisplay('customer', null)).toEqual(newDisplay());
  expect(added.ask).toHaveBeenCalledExactlyOnceWith({ ask: 'add-display', role: 'customer', name: null });
  const allowed = behind({ answer: 'display-allowed', name: 'display 2' });
  expect(await allowed.host.allowDisplay('KXQM', null)).toBe('display 2');
  expect(allowed.ask).toHaveBeenCalledExactlyOnceWith({ ask: 'allow-display', letters: 'KXQM', name: null });
});

it('rejects with the sentence of a refusal', async () => {
  const sentence = { code: 'not-allowed', args: {}, text: 'Not here.' };
  await expect(behind({ answer: 'refused', sentence }).host.testRing()).rejects.toEqual(sentence);
});

it('rejects what is no answer to the question', async () => {
  await expect(done.host.settings()).rejects.toContain('different versions');
});
