import { expect, it } from 'vitest';
import { fromBase64Url, toBase64Url } from './bytes';
import { readInvitation } from './invitation';

const bytes = Uint8Array.from({ length: 48 }, (_, i) => 250 - i);

it('reads the key and the token', () => {
  const invitation = readInvitation(`#${toBase64Url(bytes)}`);
  expect(invitation?.publicKey).toEqual(bytes.slice(0, 32));
  expect(invitation?.token).toEqual(bytes.slice(32));
});

it.each([
  '',
  '#',
  `#${'A'.repeat(63)}`,
  `#${'A'.repeat(65)}`,
  `#${'A'.repeat(63)}=`,
  `#${'A'.repeat(63)}+`,
  'A'.repeat(64),
])('takes %o for none', (hash) => {
  expect(readInvitation(hash)).toBeNull();
});

it('writes bytes so that an address can carry them', () => {
  expect(toBase64Url(Uint8Array.of(251, 255, 254, 0))).toBe('-__-AA');
  expect(fromBase64Url('-__-AA')).toEqual(Uint8Array.of(251, 255, 254, 0));
});
