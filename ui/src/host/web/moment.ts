/** A moment by two clocks. */
export interface Moment {
  steady: number;
  wall: number;
}

export const now = (): Moment => ({ steady: performance.now(), wall: Date.now() });

/**
 * Milliseconds since a moment.
 *
 * In some browsers the steady clock rests while the machine sleeps. The wall clock does not; where somebody sets it forward, this says
 * too much, and never too little.
 */
export function since({ steady, wall }: Moment): number {
  return Math.max(performance.now() - steady, Date.now() - wall);
}
