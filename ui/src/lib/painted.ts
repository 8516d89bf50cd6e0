/** One for good: WebKit never gives back all that a message channel takes, and this page lives for months. */
let afterFrame: MessageChannel | undefined;
const afterThisFrame: (() => void)[] = [];

function soon(call: () => void) {
  if (afterFrame === undefined) {
    afterFrame = new MessageChannel();
    afterFrame.port1.onmessage = () => afterThisFrame.shift()?.();
  }
  afterThisFrame.push(call);
  afterFrame.port2.postMessage(null);
}

/**
 * Calls `done` once what is in the document now has been painted; returns how to call it off.
 *
 * `requestAnimationFrame` runs just before a paint, and a message sent from it arrives just after. Neither is
 * trusted in a hidden window: nothing is on the glass there, so this waits until the window is seen again.
 */
export function afterPaint(done: () => void): () => void {
  let frame = 0;
  let over = false;

  const ask = () => {
    document.removeEventListener('visibilitychange', ask);
    if (over) return;
    if (document.visibilityState !== 'visible') {
      document.addEventListener('visibilitychange', ask);
      return;
    }
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      soon(() => {
        if (over) return;
        if (document.visibilityState !== 'visible') return ask();
        over = true;
        done();
      });
    });
  };

  ask();
  return () => {
    over = true;
    cancelAnimationFrame(frame);
    document.removeEventListener('visibilitychange', ask);
  };
}
