import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');
const css = read('colours.css') + read('app.css') + read('pair/pair.css');
const components = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.svelte'))
  .map((path) => [path, read(path)] as const);

/** A colour of the stylesheet as it is in a theme. */
function colour(name: string, theme: 'light' | 'dark'): string {
  const value = new RegExp(`--${name}: (.+);`).exec(css)?.[1];
  const found = value?.match(/#[0-9a-f]{6}/g);
  const picked = theme === 'dark' ? found?.at(-1) : found?.[0];
  if (picked === undefined) throw new Error(`the stylesheets have no colour --${name}`);
  return picked;
}

/** The contrast of two colours as WCAG 2 defines it. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5]
      .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

describe('every text stands out from its ground at least 7 to 1', () => {
  const grounds: Record<string, string[]> = {
    ink: ['ground', 'panel', 'ripple', 'line'],
    quiet: ['ground', 'panel', 'ripple'],
    trouble: ['ground', 'panel'],
    care: ['ground', 'panel', 'ripple', 'care-ground'],
    'on-action': ['action'],
    'paid-ink': ['paid', 'paid-band-1', 'paid-band-2', 'paid-band-3'],
    'paid-mark': ['paid-mark-ink'],
    'reported-ink': ['reported', 'reported-band-1', 'reported-band-2', 'reported-band-3'],
    'card-ink': ['card', 'card-band-1', 'card-band-2', 'card-band-3'],
    'cash-ink': ['cash', 'cash-band-1', 'cash-band-2', 'cash-band-3'],
    'other-ink': ['other', 'other-band-1', 'other-band-2', 'other-band-3'],
    'caught-ink': ['caught', 'caught-panel'],
    'alarm-ink': ['alarm'],
    'ribbon-ink': ['ribbon'],
  };
  for (const theme of ['light', 'dark'] as const) {
    for (const [ink, on] of Object.entries(grounds)) {
      it.each(on)(`${ink} on %s, ${theme}`, (ground) => {
        expect(contrast(colour(ink, theme), colour(ground, theme))).toBeGreaterThanOrEqual(7);
      });
    }
  }
});

describe('the stylesheets', () => {
  it('hold every animation when somebody asks for less motion', () => {
    expect(css).toMatch(/@media \(prefers-reduced-motion: reduce\) \{[^@]*animation: none !important/);
  });

  it.each(components)('of %s move nothing but transform and opacity', (_, source) => {
    for (const [, frames = ''] of source.matchAll(/@keyframes [\w-]+ \{(.*?)\n {2}\}/gs)) {
      const moved = [...frames.matchAll(/([\w-]+):/g)].map(([, property]) => property);
      expect(moved.filter((property) => property !== 'transform' && property !== 'opacity')).toEqual([]);
    }
    expect(source).not.toMatch(/transition:|filter:/);
  });

  it('of the calm screens move nothing at all', () => {
    const calm = [
      'Join',
      'Idle',
      'Checking',
      'Unreliable',
      'Ripples',
      'Clock',
      'LastPayment',
      'LinkDot',
      'LinkState',
      'Notices',
      'Pending',
      'WalletStates',
      'WalletsDown',
    ];
    for (const [path, source] of components) {
      if (calm.some((name) => path.endsWith(`/${name}.svelte`)))
        expect(source, path).not.toContain('animation');
    }
  });
});

describe('the pages', () => {
  it.each(['index', 'pair'])(
    'hold nothing that a policy without inline scripts and styles forbids: %s',
    (name) => {
      const page = read(`../${name}.html`);
      expect(page).not.toMatch(/<style|\sstyle=|\son\w+=/);
      for (const [, attributes = '', text = ''] of page.matchAll(/<script(.*?)>(.*?)<\/script>/gs)) {
        expect(attributes).toContain('src="/');
        expect(text).toBe('');
      }
    },
  );
});

describe('the markup', () => {
  it.each(components)('of %s takes no text for markup and no style that the policy forbids', (_, source) => {
    expect(source).not.toContain('{@html');
    expect(source).not.toMatch(/\sstyle=/);
  });
});
