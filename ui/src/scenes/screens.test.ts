import { flushSync } from 'svelte';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { asking, display, displayLine, displayLines, newDisplay, scenes } from '../host/samples';
import type { Displays } from '../host/types';
import {
  click,
  part,
  parts,
  plain,
  press,
  rehearse,
  role,
  settingsView,
  settle,
  text,
  type,
} from '../testing/rehearsal';

beforeEach(() => {
  vi.useFakeTimers({ now: new Date(2026, 10, 24, 14, 30) });
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

/** The settings are open, and these are the displays. */
async function open(lists: Partial<Displays> = {}, networkScreens: boolean | null = true) {
  const stage = rehearse(display(scenes.idle()));
  stage.host.settings.mockResolvedValue({ ...settingsView, networkScreens });
  stage.host.changeSettings.mockImplementation(async (form) => ({
    ...settingsView,
    networkScreens,
    ...form,
  }));
  const are = (now: Partial<Displays>) =>
    stage.host.displays.mockResolvedValue({ displays: [], asking: [], ...now });
  are(lists);
  press('s');
  await settle();
  return { ...stage, are };
}

/** So much later. */
async function wait(milliseconds: number) {
  await vi.advanceTimersByTimeAsync(milliseconds);
  flushSync();
}

const of = (what: string, name: string) => {
  const found = parts(what).find((it) => it.dataset.display === name || it.dataset.letters === name);
  if (found === undefined) throw new Error(`nothing has the role "${what}" for ${name}`);
  return found;
};
const tap = async (what: string, name: string) => {
  of(what, name).click();
  await settle();
};
const names = () => parts('display-name').map(plain);

describe('the switch for screens in this network', () => {
  it('lets them in, and says that each has to be allowed', async () => {
    const { host } = await open({}, false);
    expect(part('network-screens').getAttribute('aria-checked')).toBe('false');
    expect(text('screens')).toContain('Tablets and other screens can show what this one shows.');
    expect(text('screens')).toContain('Each has to be allowed.');
    click('network-screens');
    await settle();
    expect(host.changeSettings).toHaveBeenCalledExactlyOnceWith({ networkScreens: true });
    expect(part('network-screens').getAttribute('aria-checked')).toBe('true');
  });

  it('stays where it was when it is refused', async () => {
    const { host } = await open();
    host.changeSettings.mockRejectedValue('The settings file cannot be written.');
    click('network-screens');
    await settle();
    expect(text('refused')).toBe('The settings file cannot be written.');
    expect(part('network-screens').getAttribute('aria-checked')).toBe('true');
  });

  it('is not there where a service decides, and the list is', async () => {
    await open({ displays: displayLines() }, null);
    expect(role('network-screens')).toBeNull();
    expect(names()).toContain('Tablet');
    expect(role('add-display')).not.toBeNull();
  });
});

describe('the list of screens', () => {
  it('is asked for at once, and two seconds after each answer, until the settings are closed', async () => {
    const { host } = await open();
    expect(host.displays).toHaveBeenCalledTimes(1);
    await wait(1_999);
    expect(host.displays).toHaveBeenCalledTimes(1);
    await wait(1);
    expect(host.displays).toHaveBeenCalledTimes(2);
    await wait(2_000);
    expect(host.displays).toHaveBeenCalledTimes(3);
    click('close-settings');
    await wait(60_000);
    expect(host.displays).toHaveBeenCalledTimes(3);
  });

  it('is asked for no more once nobody answers a question that was under way when they were closed', async () => {
    const { host } = await open();
    let answer: (lists: Displays) => void = () => {};
    host.displays.mockReturnValue(new Promise((resolve) => (answer = resolve)));
    await wait(2_000);
    click('close-settings');
    answer({ displays: [], asking: [] });
    await wait(60_000);
    expect(host.displays).toHaveBeenCalledTimes(2);
  });

  it('is asked for as long as screens in this network may be displays', async () => {
    const { host } = await open({ displays: displayLines() }, false);
    await wait(10_000);
    expect(host.displays).not.toHaveBeenCalled();
    expect(role('add-display')).toBeNull();
    click('network-screens');
    await settle();
    expect(names()).toContain('Tablet');
    click('network-screens');
    await settle();
    expect(role('display')).toBeNull();
    host.displays.mockClear();
    await wait(10_000);
    expect(host.displays).not.toHaveBeenCalled();
  });

  it('rests while a payment covers the settings', async () => {
    const { host, draw } = await open();
    draw(display(scenes.paid()));
    await wait(10_000);
    expect(host.displays).toHaveBeenCalledTimes(1);
    draw(display(scenes.idle()));
    expect(host.displays).toHaveBeenCalledTimes(2);
  });

  it('says of each who looks at it, where it is and how', async () => {
    await open({ displays: displayLines() });
    expect(parts('display').map((it) => it.dataset.display)).toEqual(names());
    const states = parts('display-state').map(plain);
    expect(states[0]).toBe('for customers connected 192.168.1.30 kept awake');
    expect(states[1]).toContain('not in front sound is off: tap its screen');
    expect(states[2]).toMatch(/^for customers last seen at \d\d:\d\d 192\.168\.1\.32$/);
    expect(states[3]).toBe('for the operator not seen yet');
    expect(states[4]).toBe('a program connected 127.0.0.1');
  });

  it('says where there is none', async () => {
    await open();
    expect(text('no-displays')).toBe('No other screen shows this one yet.');
  });

  it('stays, with a sentence, when it cannot be asked for, until it can', async () => {
    const { host, are } = await open({ displays: displayLines() });
    host.displays.mockRejectedValue('Tillbell does not answer.');
    await wait(2_000);
    expect(text('displays-unheard')).toBe('Tillbell does not answer.');
    expect(names()).toContain('Tablet');
    are({});
    await wait(2_000);
    expect(role('displays-unheard')).toBeNull();
    expect(names()).toEqual([]);
  });

  it('shows names as text, never as markup', async () => {
    await open({ displays: [displayLine({ name: '<img src=x>' })] });
    expect(names()).toEqual(['<img src=x>']);
    expect(document.querySelector('img')).toBeNull();
  });

  it('keeps the focus within the settings when what had it is gone', async () => {
    const { are } = await open({ asking: [asking()] });
    part('allow').focus();
    are({});
    await wait(2_000);
    expect(document.activeElement?.textContent).toBe('Screens');
  });
});

describe('a screen that asks', () => {
  it('is shown with its letters, to be compared', async () => {
    await open({ asking: [asking('KXQM', '192.168.1.7')], displays: displayLines() });
    expect(text('asking')).toContain('A screen at 192.168.1.7 shows');
    expect(text('asking-letters')).toBe('KXQM');
    expect(text('asking')).toContain('shows these same four letters');
    expect(part('allow').getAttribute('aria-label')).toBe('Allow K X Q M');
    const screens = part('screens').querySelectorAll('[data-role="asking"], [data-role="display"]');
    expect(screens[0]).toBe(part('asking'));
  });

  it('is spoken when it begins to ask', async () => {
    const { are } = await open();
    const spoken = part('screens').querySelector('[role="status"]') as HTMLElement;
    expect(plain(spoken)).toBe('');
    are({ asking: [asking('KXQM', '192.168.1.7')] });
    await wait(2_000);
    expect(plain(spoken)).toBe('A screen at 192.168.1.7 asks to be allowed. It shows K X Q M.');
  });

  it('is allowed by its letters, and is then in the list', async () => {
    const { host, are } = await open({ asking: [asking('KXQM'), asking('TBHR', '192.168.1.8')] });
    await wait(400);
    host.allowDisplay.mockImplementation(async (letters) => {
      are({ displays: [displayLine({ name: 'display 1' })], asking: [asking('KXQM')] });
      return letters === 'TBHR' ? 'display 1' : '';
    });
    await tap('allow', 'TBHR');
    expect(host.allowDisplay).toHaveBeenCalledExactlyOnceWith('TBHR', null);
    expect(names()).toEqual(['display 1']);
    expect(parts('asking-letters').map(plain)).toEqual(['KXQM']);
    expect(text('allowed')).toContain('“display 1” is allowed.');
  });

  it('is allowed once, however often somebody taps', async () => {
    const { host } = await open({ asking: [asking()] });
    await wait(400);
    click('allow');
    click('allow');
    await settle();
    expect(host.allowDisplay).toHaveBeenCalledTimes(1);
  });

  it('is not allowed by a tap for what was there a moment ago', async () => {
    const { host, are } = await open({ asking: [asking('KXQM'), asking('TBHR')] });
    await wait(1_999);
    are({ asking: [asking('TBHR')] });
    await wait(1);
    await tap('allow', 'TBHR');
    expect(host.allowDisplay).not.toHaveBeenCalled();
    await wait(400);
    await tap('allow', 'TBHR');
    expect(host.allowDisplay).toHaveBeenCalledTimes(1);
  });

  it('that is gone leaves the sentence why it was not allowed', async () => {
    const { host, are } = await open({ asking: [asking()] });
    await wait(400);
    host.allowDisplay.mockRejectedValue('No screen shows “KXQM” at this moment.');
    are({});
    await tap('allow', 'KXQM');
    expect(role('asking')).toBeNull();
    expect(text('allow-refused')).toBe('No screen shows “KXQM” at this moment.');
  });
});

describe('the sound of a screen', () => {
  it('is switched on and off, and that of a program is not there', async () => {
    const { host, are } = await open({ displays: displayLines() });
    expect(parts('sound-display').map((it) => it.dataset.display)).not.toContain('Till');
    expect(of('sound-display', 'Tablet').getAttribute('aria-checked')).toBe('true');
    expect(of('sound-display', 'Tablet').getAttribute('aria-label')).toBe('Sound of Tablet');
    are({ displays: [displayLine({ rings: false })] });
    await tap('sound-display', 'Tablet');
    expect(host.soundDisplay).toHaveBeenCalledExactlyOnceWith('Tablet', false);
    expect(of('sound-display', 'Tablet').getAttribute('aria-checked')).toBe('false');
  });

  it('stays as it was when it is refused, and the screen says why', async () => {
    const { host } = await open({ displays: displayLines() });
    host.soundDisplay.mockRejectedValue('The displays could not be stored.');
    await tap('sound-display', 'Tablet');
    expect(plain(of('display', 'Tablet'))).toContain('The displays could not be stored.');
    expect(of('sound-display', 'Tablet').getAttribute('aria-checked')).toBe('true');
  });
});

describe('a screen that is revoked', () => {
  it('is asked about before, and leaves the focus in the list', async () => {
    const { host, are } = await open({ displays: displayLines() });
    await tap('revoke', 'Window');
    expect(host.revokeDisplay).not.toHaveBeenCalled();
    expect(text('revoke-question')).toContain('Revoke “Window”?');
    expect(text('revoke-question')).toContain('It shows nothing any more');
    expect(document.activeElement).toBe(part('revoke-question'));
    are({ displays: [displayLine()] });
    click('revoke-really');
    click('revoke-really');
    await settle();
    expect(host.revokeDisplay).toHaveBeenCalledExactlyOnceWith('Window');
    expect(names()).toEqual(['Tablet']);
    expect(document.activeElement?.textContent).toBe('Screens');
  });

  it('stays when somebody thinks better of it, by button or Escape', async () => {
    const { host } = await open({ displays: displayLines() });
    await tap('revoke', 'Window');
    click('revoke-not');
    await settle();
    expect(document.activeElement).toBe(of('revoke', 'Window'));
    await tap('revoke', 'Window');
    press('Escape', {}, part('revoke-question'));
    await settle();
    expect(role('revoke-question')).toBeNull();
    expect(role('settings')).not.toBeNull();
    expect(document.activeElement).toBe(of('revoke', 'Window'));
    expect(host.revokeDisplay).not.toHaveBeenCalled();
  });

  it('says in the question why it was not', async () => {
    const { host } = await open({ displays: displayLines() });
    host.revokeDisplay.mockRejectedValue('The displays could not be stored.');
    await tap('revoke', 'Window');
    click('revoke-really');
    await settle();
    expect(text('revoke-refused')).toBe('The displays could not be stored.');
  });

  it('is asked about no more once somebody else has revoked it', async () => {
    const { are } = await open({ displays: displayLines() });
    await tap('revoke', 'Window');
    are({ displays: [displayLine()] });
    await wait(2_000);
    expect(role('revoke-question')).toBeNull();
    expect(document.activeElement?.textContent).toBe('Screens');
  });

  it('is a token where it is a program', async () => {
    await open({ displays: displayLines() });
    await tap('revoke', 'Till');
    expect(text('revoke-question')).toContain('Its token is good for nothing');
  });
});

describe('a new screen', () => {
  const choose = (which: string) => {
    const radio = part('add-form').querySelector<HTMLInputElement>(`input[value="${which}"]`);
    radio?.click();
    flushSync();
  };
  const make = async (which = 'customer', name = '') => {
    click('add-display');
    choose(which);
    type('display-name-field', name);
    click('add-really');
    await settle();
  };
  const shown = (name: string) => (part(name) as HTMLTextAreaElement).value;

  it('is for customers unless somebody says otherwise', async () => {
    const { host } = await open();
    click('add-display');
    expect(document.activeElement).toBe(part('add-form'));
    expect(part('add-form').querySelector<HTMLInputElement>(':checked')?.value).toBe('customer');
    expect(text('add-form')).toContain('works on this computer only');
    expect(text('add-form')).toContain('a token for your till software');
    click('add-really');
    await settle();
    expect(host.addDisplay).toHaveBeenCalledExactlyOnceWith('customer', null);
  });

  it('has a code to scan and its link, until that is put away for good', async () => {
    const { host } = await open();
    await make('customer', '  Terrace ');
    expect(host.addDisplay).toHaveBeenCalledExactlyOnceWith('customer', 'Terrace');
    expect(part('link-code').querySelector('path')?.getAttribute('d')).toMatch(/^M0 0h7/);
    expect(shown('link')).toBe(newDisplay().added.link);
    expect(text('added-display')).toContain('Good for ten minutes, for one browser.');
    expect(document.activeElement).toBe(part('added-display'));
    click('put-link-away');
    await settle();
    expect(role('added-display')).toBeNull();
    expect(document.body.innerHTML).not.toContain('join#');
    expect(document.activeElement).toBe(part('add-display'));
  });

  it('of an operator has a link for this computer and no code for a camera', async () => {
    await open();
    await make('operator');
    expect(text('added-display')).toContain('Open it in a browser on this computer.');
    expect(shown('link')).toContain('http://127.0.0.1');
    expect(role('link-code')).toBeNull();
  });

  it('that is a program has a token, shown this once', async () => {
    const { host } = await open();
    click('add-display');
    choose('program');
    expect(text('add-really')).toBe('Make a token');
    click('add-really');
    await settle();
    expect(host.addDisplay).toHaveBeenCalledExactlyOnceWith('program', null);
    expect(text('added-display')).toContain('Shown this once');
    expect(shown('token')).toBe(newDisplay('program').added.token);
    expect(role('link')).toBeNull();
  });

  it('says beside its name why it was not made, and keeps what was typed', async () => {
    const { host } = await open();
    host.addDisplay.mockRejectedValue('Another display is called “Tablet”.');
    await make('customer', 'Tablet');
    expect(text('add-refused')).toBe('Another display is called “Tablet”.');
    expect((part('display-name-field') as HTMLInputElement).value).toBe('Tablet');
  });

  it('says when it is there', async () => {
    const { are } = await open();
    await make();
    expect(text('added-is-here')).toBe('');
    are({ displays: [displayLine({ name: 'display 3' })] });
    await wait(2_000);
    expect(text('added-is-here')).toBe('“display 3” is connected.');
  });

  it('is not lost to a payment: what was typed stays, and so does what is shown once', async () => {
    const { draw } = await open();
    click('add-display');
    type('display-name-field', 'Terr');
    draw(display(scenes.paid()));
    draw(display(scenes.idle()));
    expect((part('display-name-field') as HTMLInputElement).value).toBe('Terr');
    choose('program');
    click('add-really');
    await settle();
    draw(display(scenes.paid()));
    expect(role('token')).toBeNull();
    draw(display(scenes.idle()));
    expect(shown('token')).toBe(newDisplay('program').added.token);
  });

  it('is called off by Escape, and the settings stay open', async () => {
    const { host } = await open();
    click('add-display');
    press('Escape', { isComposing: true }, part('display-name-field'));
    expect(role('add-form')).not.toBeNull();
    press('Escape', {}, part('display-name-field'));
    await settle();
    expect(role('add-form')).toBeNull();
    expect(document.activeElement).toBe(part('add-display'));
    click('add-display');
    press('Escape', {}, part('settings'));
    await settle();
    expect(role('add-form')).toBeNull();
    expect(role('settings')).not.toBeNull();
    expect(host.addDisplay).not.toHaveBeenCalled();
  });

  it('is copied where the browser allows it', async () => {
    const writeText = vi.fn(async (_text: string) => {});
    vi.stubGlobal('navigator', { clipboard: { writeText } });
    await open();
    await make();
    click('copy');
    await settle();
    expect(writeText).toHaveBeenCalledExactlyOnceWith(newDisplay().added.link);
    expect(text('copied')).toBe('Copied.');
    writeText.mockRejectedValue(new Error('not allowed'));
    click('copy');
    await settle();
    expect(text('copied')).toContain('copy what is selected');
  });

  it('has no button that copies where the browser does not', async () => {
    vi.stubGlobal('navigator', {});
    await open();
    await make();
    expect(role('copy')).toBeNull();
    expect(role('link')).not.toBeNull();
  });
});
