import { expect, it } from 'vitest';
import { sizeFor } from './memo';

it('sets a short memo large and a long one small', () => {
  expect(sizeFor('Coffee')).toBe('short');
  expect(sizeFor('Two flat whites, one croissant, and a bag of beans')).toBe('medium');
  expect(sizeFor('x'.repeat(150))).toBe('long');
  expect(sizeFor('x'.repeat(640))).toBe('endless');
});

it('counts wide scripts and emoji double', () => {
  expect(sizeFor('あ'.repeat(14))).toBe('short');
  expect(sizeFor('あ'.repeat(15))).toBe('medium');
  expect(sizeFor('☕'.repeat(15))).toBe('medium');
});
