import { expect, it } from 'vitest';
import { fit } from './codeSize';

it('a code is drawn larger where its modules would be under three pixels, and is too fine where that does not help', () => {
  // 1,300 letters have 121 modules a side, 2,500 have 161.
  expect(fit(25, 800, 480, 1)).toBe('usual');
  expect(fit(121, 800, 480, 1)).toBe('large');
  expect(fit(161, 800, 480, 1)).toBe('too-fine');
  expect(fit(121, 1280, 800, 1)).toBe('usual');
  expect(fit(161, 1280, 800, 1)).toBe('large');
  expect(fit(121, 480, 800, 1)).toBe('large');
  expect(fit(161, 480, 800, 1)).toBe('too-fine');
});

it('what counts are the pixels of the display', () => {
  expect(fit(161, 800, 480, 2)).toBe('usual');
});
