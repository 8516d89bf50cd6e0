import { blake2b } from '@noble/hashes/blake2.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import nacl from 'tweetnacl';

/** Seals a message so that only the owner of a public key can read it: libsodium's `crypto_box_seal`. */
export function seal(message: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const once = nacl.box.keyPair();
  const box = nacl.box(message, nonceOf(once.publicKey, publicKey), publicKey, once.secretKey);
  return concatBytes(once.publicKey, box);
}

/** A sealed box needs none of its own: its key is used once. */
export function nonceOf(once: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return blake2b(concatBytes(once, publicKey), { dkLen: nacl.box.nonceLength });
}

/** The six digits that the display shows, too, if it has got what was sent and no other. */
export function numberOf(publicKey: Uint8Array, sealed: Uint8Array): string {
  const digest = sha256(concatBytes(publicKey, sealed));
  const first = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
  return String(first % 1_000_000).padStart(6, '0');
}
