import { untilNextMinute } from './time';

/** The present minute. One timer for the whole display, aligned, so that an idle screen wakes once a minute. */
export const now = $state({ minute: Date.now() });

/** Keeps `now` going; returns how to stop it. */
export function keepTime(): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const tick = () => {
    clearTimeout(timer);
    now.minute = Date.now();
    timer = setTimeout(tick, untilNextMinute(now.minute));
  };
  // Timers stand still while a machine sleeps or a window is hidden.
  const awake = () => {
    if (document.visibilityState === 'visible') tick();
  };
  tick();
  document.addEventListener('visibilitychange', awake);
  return () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', awake);
  };
}
