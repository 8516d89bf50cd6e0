import type { Colours } from '../host/generated/Colours';
import type { FlashLayout } from '../host/generated/FlashLayout';
import { writing } from './writing';

type Colour = Colours['ground'];

/** "rgb(52, 214, 124)" as three numbers; `null` where it is no opaque colour. */
export function rgb(text: string): Colour | null {
  const [red, green, blue, ...alpha] = (text.match(/^rgba?\((.*)\)$/)?.[1] ?? '').split(/[ ,/]+/).map(Number);
  if (red === undefined || green === undefined || blue === undefined) return null;
  return [red, green, blue, ...alpha].every(Number.isFinite) && (alpha[0] ?? 1) === 1
    ? [red, green, blue]
    : null;
}

/** The colours that the scene has while it looks like this. */
function coloursOf(scene: HTMLElement, method: string, verdict: string): Colours | null {
  const { by, verdict: before } = scene.dataset;
  scene.dataset.by = method;
  scene.dataset.verdict = verdict;
  const { backgroundColor, color } = getComputedStyle(scene);
  const [ground, ink] = [rgb(backgroundColor), rgb(color)];
  scene.dataset.by = by;
  scene.dataset.verdict = before;
  return ground && ink && { ground, ink };
}

/** The language does not change while this page lives. */
let written: ReturnType<typeof writing> | undefined;

/** Where and how `scene` draws an amount; `null` where the shell cannot do the same. */
export function flashLayout(scene: HTMLElement): FlashLayout | null {
  const box = scene.querySelector('.sum');
  const whole = scene.getBoundingClientRect();
  const { innerWidth: width, innerHeight: height } = window;
  if (!box || whole.width !== width || whole.height !== height) return null;
  const colours = {
    lightning: coloursOf(scene, 'lightning', 'verified'),
    card: coloursOf(scene, 'card', 'verified'),
    cash: coloursOf(scene, 'cash', 'verified'),
    other: coloursOf(scene, 'other', 'verified'),
    reported: coloursOf(scene, 'lightning', 'reported'),
  };
  const { lightning, card, cash, other, reported } = colours;
  if (!lightning || !card || !cash || !other || !reported) return null;

  const style = getComputedStyle(box);
  const number = (name: string) => Number.parseFloat(style.getPropertyValue(name));
  const place = box.getBoundingClientRect();
  const below = number('--unit-below');
  written ??= writing();
  return {
    width,
    height,
    place: { x: place.x, y: place.y, width: place.width, height: place.height },
    fill: number('--fill'),
    besideEm: number('--beside-em'),
    most: number('--most'),
    unit: {
      share: number('--unit-share'),
      least: number('--unit-least'),
      weight: number('--unit-weight'),
      below: below >= 0 ? below : null,
    },
    families: style.fontFamily,
    weight: Number(style.fontWeight),
    colours: { lightning, card, cash, other, reported },
    writing: written,
  };
}

/** Tells how `scene` draws an amount, now and whenever that changes; returns how to stop. */
export function keepFlashLayout(scene: HTMLElement, tell: (layout: FlashLayout | null) => void): () => void {
  let told: string | undefined;
  const look = () => {
    const layout = flashLayout(scene);
    const text = JSON.stringify(layout);
    if (text === told) return;
    told = text;
    tell(layout);
  };
  const resized = new ResizeObserver(look);
  resized.observe(scene);
  const themed = new MutationObserver(look);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', look);
  return () => {
    resized.disconnect();
    themed.disconnect();
    dark.removeEventListener('change', look);
  };
}
