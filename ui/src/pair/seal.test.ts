import { hexToBytes } from '@noble/hashes/utils.js';
import nacl from 'tweetnacl';
import { expect, it } from 'vitest';
import { opened } from '../testing/sealed';
import { numberOf, seal } from './seal';

const owner = nacl.box.keyPair.fromSecretKey(Uint8Array.from({ length: 32 }, (_, i) => i));
/** Sealed to that owner by libsodium. */
const byLibsodium = hexToBytes(
  'c8c64dfc75adf31e8a9a55e3e2f7a3e992d860c51bd07a5edb7e0d72714e366009fd4e06783e7f2096f6186b1c52e3656b600d308403048baff6afd72b06cebb30d3',
);

it('knows the form of a box that libsodium has sealed', () => {
  expect(opened(byLibsodium, owner)).toBe('{"wallet":"café"}');
});

it('seals so that the owner of the key reads it, and nobody else', () => {
  const sealed = seal(new TextEncoder().encode('{"wallet":"café"}'), owner.publicKey);
  expect(sealed).toHaveLength(byLibsodium.length);
  expect(opened(sealed, owner)).toBe('{"wallet":"café"}');
  expect(opened(sealed, nacl.box.keyPair())).toBeNull();
});

it('seals the same words another way each time', () => {
  const words = new TextEncoder().encode('the same');
  expect(seal(words, owner.publicKey)).not.toEqual(seal(words, owner.publicKey));
});

it('makes six digits of the key and what was sealed, zeros in front and all', () => {
  expect(numberOf(owner.publicKey, byLibsodium)).toBe('243319');
  const numbers = Array.from({ length: 200 }, (_, i) => numberOf(owner.publicKey, Uint8Array.of(i)));
  expect(numbers.filter((number) => !/^\d{6}$/.test(number))).toEqual([]);
  expect(numbers.some((number) => number.startsWith('0'))).toBe(true);
});
