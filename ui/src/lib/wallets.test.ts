import { describe, expect, it } from 'vitest';
import type { LinkState } from '../host/generated/LinkState';
import { nameFault } from './names';
import { isDown } from './wallets';

const wallet = (name: string, state: LinkState, untrustedSince: string | null = null) => ({
  name,
  link: { state, detail: null, untrustedSince },
});
const longAgo = '2026-11-24T14:03:00Z';

describe('a wallet', () => {
  it.each([
    ['live', null, false],
    ['polling', null, false],
    ['connecting', null, false],
    ['connecting', longAgo, true],
    ['down', null, true],
    ['live', longAgo, true],
  ] as const)('that is %s and untrusted since %s: down is %s', (state, since, down) => {
    expect(isDown(wallet('Bar', state, since))).toBe(down);
  });
});

describe("a wallet's name", () => {
  it('has one to 64 characters, however wide', () => {
    expect(nameFault('')).toBe('A wallet needs a name.');
    expect(nameFault('☕'.repeat(64))).toBeNull();
    expect(nameFault('🥐'.repeat(64))).toBeNull();
    expect(nameFault('x'.repeat(65))).toBe('A name has at most 64 characters.');
  });
});
