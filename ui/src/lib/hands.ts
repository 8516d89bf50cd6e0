/** A pointer that rests this long is in the way. */
export const pointerRests = 5_000;

/**
 * Keeps hands from changing what the page is: no menu, no zoom, nothing dragged or dropped, no pointer that stays. Fields keep what
 * typing needs, for operators only. Returns how to stop.
 */
export function keepHandsOff(root: HTMLElement = document.documentElement): () => void {
  const over = new AbortController();
  // Zooming is refused in the moment it begins, so the browser must wait for our answer.
  const options = { signal: over.signal, passive: false, capture: true };
  const on = (names: string[], refuses: (event: never) => boolean) => {
    for (const name of names) {
      root.ownerDocument.addEventListener(
        name,
        (event) => {
          if (refuses(event as never)) event.preventDefault();
        },
        options,
      );
    }
  };
  const isElsewhere = (event: Event) => root.dataset.display === 'customer' || !isField(event.target);

  on(['contextmenu', 'dragstart', 'dragover', 'drop'], isElsewhere);
  on(['touchstart', 'touchmove'], (event: TouchEvent) => event.touches.length > 1);
  on(['wheel'], (event: WheelEvent) => event.ctrlKey);
  // macOS says so by itself.
  on(['gesturestart', 'gesturechange'], () => true);
  on(['keydown'], isZoomKey);

  let rest = 0;
  const moved = () => {
    delete root.dataset.pointer;
    clearTimeout(rest);
    rest = window.setTimeout(() => {
      root.dataset.pointer = 'resting';
    }, pointerRests);
  };
  root.ownerDocument.addEventListener('pointermove', moved, { signal: over.signal, passive: true });
  moved();

  return () => {
    over.abort();
    clearTimeout(rest);
  };
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}

function isZoomKey({ ctrlKey, metaKey, key }: KeyboardEvent): boolean {
  return (ctrlKey || metaKey) && ['+', '-', '=', '_', '0'].includes(key);
}
