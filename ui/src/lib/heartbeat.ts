import type { Host } from '../host/types';

export const beatEvery = 5_000;

/** Tells the host every few seconds that this window still runs; returns how to stop. */
export function keepBeating(host: Pick<Host, 'heartbeat'>): () => void {
  let beat = 0;
  const timer = setInterval(() => {
    beat += 1;
    // A host that does not answer cannot be helped from here; it will miss the beat.
    host.heartbeat(beat).catch(() => {});
  }, beatEvery);
  return () => clearInterval(timer);
}
