/** Keeps the screen on while the page is in front, where a browser lets it: over https only. Returns whether it does. */
export function keepAwake(over: AbortSignal): () => boolean {
  let lock: WakeLockSentinel | null = null;
  const holds = () => lock !== null && !lock.released;
  const ask = () => {
    if (document.visibilityState !== 'visible' || !('wakeLock' in navigator) || holds()) return;
    navigator.wakeLock.request('screen').then(
      (held) => {
        lock = held;
      },
      // With a low battery, say. The list of displays tells the shop.
      () => {},
    );
  };
  // A browser takes it back when the page is hidden.
  document.addEventListener('visibilitychange', ask, { signal: over });
  ask();
  return holds;
}
