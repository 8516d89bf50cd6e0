import { flushSync } from 'svelte';
import type { Display } from '../host/generated/Display';
import type { Scene } from '../host/generated/Scene';
import type { Host } from '../host/types';
import { afterPaint } from './painted';

/** The picture on this screen, and the acknowledgement that it is there. */
export class Screen {
  /** `null` until the first picture came. Raw: a picture is replaced whole, never changed in place. */
  display = $state.raw<Display | null>(null);
  /** What lies under a payment until it has been painted: taking it away would take time before. */
  under = $state.raw<Display | null>(null);
  /** The showing that has been painted. */
  painted = $state.raw<number | null>(null);

  #showing: number | null = null;
  #callOff = () => {};

  constructor(private readonly host: Pick<Host, 'painted'>) {}

  /** Puts a picture into the document before it returns, so that the next paint has it. */
  draw = (display: Display): void => {
    if (this.display !== null && display.revision < this.display.revision) return;
    flushSync(() => {
      this.display = display;
      if (display.scene.name !== 'paid') this.under = display;
      label(document.documentElement, display);
    });
    this.#acknowledge(showingOf(display));
  };

  #acknowledge(showing: number | null): void {
    if (showing === this.#showing) return;
    this.#callOff();
    this.#showing = showing;
    if (showing === null) return;
    this.#callOff = afterPaint(() => {
      this.painted = showing;
      if (this.display?.scene.name === 'paid') this.under = null;
      // Refused when the showing is over already: then there is nothing left to acknowledge.
      this.host.painted(showing).catch(() => {});
    });
  }
}

/** The showing that wants an acknowledgement. */
export function showingOf({ scene }: Display): number | null {
  return scene.name === 'paid' || scene.name === 'catch-up' ? scene.showing : null;
}

/** Nothing is told and nobody pairs: the scenes that give way when the screen is unreliable. */
export function isCalm(scene: Scene): boolean {
  return scene.name === 'idle' || scene.name === 'checking';
}

/** The doors that other programs read, and that the stylesheet hangs its colours on. */
function label(root: HTMLElement, { role, scene, link, theme, unreliable }: Display): void {
  const labels = {
    scene: unreliable !== null && isCalm(scene) ? 'unreliable' : scene.name,
    link: link.state,
    display: role,
    theme,
    verdict: scene.name === 'paid' ? scene.verdict : undefined,
  };
  for (const [name, value] of Object.entries(labels)) {
    // To write what stands there already is a change, too, for whoever watches.
    if (root.dataset[name] === value) continue;
    if (value === undefined) delete root.dataset[name];
    else root.dataset[name] = value;
  }
}
