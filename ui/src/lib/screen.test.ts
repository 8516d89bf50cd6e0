import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { display, scenes } from '../host/samples';
import { settle } from '../testing/rehearsal';
import { Screen } from './screen.svelte';

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

/** A window that paints when told. */
function glass() {
  let waiting = new Map<number, FrameRequestCallback>();
  let asked = 0;
  vi.stubGlobal('requestAnimationFrame', (callback: FrameRequestCallback) => {
    asked += 1;
    waiting.set(asked, callback);
    return asked;
  });
  vi.stubGlobal('cancelAnimationFrame', (id: number) => waiting.delete(id));
  // The message that follows a frame; delivered once the test settles.
  vi.stubGlobal(
    'MessageChannel',
    class {
      port1 = { onmessage: null as null | (() => void), close() {} };
      port2 = { postMessage: () => setTimeout(() => this.port1.onmessage?.(), 0) };
    },
  );
  const seen = vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('visible');
  return {
    async paint() {
      const now = waiting;
      waiting = new Map();
      for (const callback of now.values()) callback(0);
      await settle();
    },
    async turn(state: DocumentVisibilityState) {
      seen.mockReturnValue(state);
      document.dispatchEvent(new Event('visibilitychange'));
      await settle();
    },
  };
}

function screen() {
  const host = { painted: vi.fn(async () => {}) };
  return { host, screen: new Screen(host) };
}

const paid = (showing: number, revision = showing) => display(scenes.paid({ showing }), { revision });

describe('the screen', () => {
  it('labels the document before it returns', () => {
    glass();
    const { screen: it } = screen();
    it.draw(
      display(scenes.idle(), {
        theme: 'dark',
        link: { state: 'polling', detail: null, untrustedSince: null },
      }),
    );
    expect({ ...document.documentElement.dataset }).toMatchObject({
      scene: 'idle',
      link: 'polling',
      theme: 'dark',
    });
    it.draw(paid(1, 2));
    expect(document.documentElement.dataset.scene).toBe('paid');
  });

  it('calls a calm screen unreliable while it is, and no other', () => {
    glass();
    const { screen: it } = screen();
    const scene = () => document.documentElement.dataset.scene;
    const unreliable = { since: '2026-11-24T14:03:00Z', detail: null };
    it.draw(display(scenes.checking(), { unreliable, revision: 1 }));
    expect(scene()).toBe('unreliable');
    it.draw(display(scenes.welcome(), { unreliable, revision: 2 }));
    expect(scene()).toBe('welcome');
    it.draw(display(scenes.idle(), { unreliable, revision: 3 }));
    expect(scene()).toBe('unreliable');
    it.draw(display(scenes.idle(), { revision: 4 }));
    expect(scene()).toBe('idle');
  });

  it('writes no label anew that stands there already', async () => {
    glass();
    const { screen: it } = screen();
    it.draw(display(scenes.idle(), { revision: 1 }));
    const written: (string | null)[] = [];
    const watcher = new MutationObserver((changes) => {
      written.push(...changes.map(({ attributeName }) => attributeName));
    });
    watcher.observe(document.documentElement, { attributes: true });
    it.draw(paid(1, 2));
    await settle();
    watcher.disconnect();
    expect(written.sort()).toEqual(['data-scene', 'data-verdict']);
  });

  it('drops a picture older than the one it shows', () => {
    glass();
    const { screen: it } = screen();
    it.draw(paid(1, 7));
    it.draw(display(scenes.idle(), { revision: 6 }));
    expect(it.display?.scene.name).toBe('paid');
  });
});

describe('a showing', () => {
  it('is confirmed after the paint and not before', async () => {
    const window = glass();
    const { host, screen: it } = screen();
    it.draw(paid(4));
    await settle();
    expect(host.painted).not.toHaveBeenCalled();
    await window.paint();
    expect(host.painted).toHaveBeenCalledExactlyOnceWith(4);
  });

  it('is confirmed once, however often its picture changes', async () => {
    const window = glass();
    const { host, screen: it } = screen();
    it.draw(paid(4, 1));
    it.draw(paid(4, 2));
    await window.paint();
    it.draw(paid(4, 3));
    await window.paint();
    expect(host.painted).toHaveBeenCalledTimes(1);
  });

  it('is confirmed for a catch-up as well', async () => {
    const window = glass();
    const { host, screen: it } = screen();
    it.draw(display(scenes.catchUp(3)));
    await window.paint();
    expect(host.painted).toHaveBeenCalledExactlyOnceWith(1);
  });

  it('is not confirmed when another took its place before the paint', async () => {
    const window = glass();
    const { host, screen: it } = screen();
    it.draw(paid(4));
    it.draw(paid(5));
    await window.paint();
    expect(host.painted).toHaveBeenCalledExactlyOnceWith(5);
  });

  it('is not confirmed while the window is hidden, and is once it is seen', async () => {
    const window = glass();
    const { host, screen: it } = screen();
    await window.turn('hidden');
    it.draw(paid(4));
    await window.paint();
    expect(host.painted).not.toHaveBeenCalled();
    await window.turn('visible');
    await window.paint();
    expect(host.painted).toHaveBeenCalledExactlyOnceWith(4);
  });

  it('is not confirmed when the window was hidden between the frame and its message', async () => {
    const window = glass();
    const { host, screen: it } = screen();
    it.draw(paid(4));
    const painting = window.paint();
    await window.turn('hidden');
    await painting;
    expect(host.painted).not.toHaveBeenCalled();
  });
});
