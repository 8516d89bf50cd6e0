/** How a pay code fits a screen. */
export type Fit =
  /** In its usual place. */
  | 'usual'
  /** It takes the whole height (held upright: the whole width), so that its modules can be told apart. */
  | 'large'
  /** Even so its modules are too small. */
  | 'too-fine';

/** Cameras at arm's length tell modules of three pixels apart, and smaller ones often not. */
const leastPixels = 3;
/** The white border that scanners need, in modules. */
export const quietZone = 4;

/** `modules` are those of one side, without the quiet zone; the screen is measured in CSS pixels. */
export function fit(modules: number, width: number, height: number, pixelRatio: number): Fit {
  const upright = width < height;
  // About what the calm screen leaves it, and what `.idle.with-large-code` gives it.
  const usual = upright ? 0.8 * width : Math.min(0.55 * height, 0.44 * width);
  const large = upright ? Math.min(width, 0.6 * height) : Math.min(height, 0.6 * width);
  const pixels = (side: number) => (side * pixelRatio) / (modules + 2 * quietZone);
  if (pixels(usual) >= leastPixels) return 'usual';
  return pixels(large) >= leastPixels ? 'large' : 'too-fine';
}
