import { expect, it, onTestFinished, vi } from 'vitest';
import { beatEvery, keepBeating } from './heartbeat';

it('beats with a growing number until it is stopped, whether or not anybody answers', async () => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const heartbeat = vi.fn(() => Promise.reject('nobody there'));
  const stop = keepBeating({ heartbeat });
  await vi.advanceTimersByTimeAsync(3 * beatEvery);
  stop();
  await vi.advanceTimersByTimeAsync(3 * beatEvery);
  expect(heartbeat.mock.calls).toEqual([[1], [2], [3]]);
});
