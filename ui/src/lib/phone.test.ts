import { expect, it } from 'vitest';
import { inThrees, shortened } from './phone';

it('shows of an address all but its secret', () => {
  expect(shortened('http://192.168.178.20:3030/pair#AbCdEfGhIjKl')).toBe(
    'http://192.168.178.20:3030/pair#AbCd…',
  );
  expect(shortened('http://192.168.178.20:3030/pair')).toBe('http://192.168.178.20:3030/pair');
});

it('parts a number into groups of three, zeros in front and all', () => {
  expect(inThrees('004019')).toEqual(['004', '019']);
});
