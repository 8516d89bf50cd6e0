import nacl from 'tweetnacl';
import { nonceOf } from '../pair/seal';

/** What was sealed to a display, as it reads it; `null` where it was not sealed to this one. */
export function opened(sealed: Uint8Array, { publicKey, secretKey }: nacl.BoxKeyPair): string | null {
  const once = sealed.slice(0, nacl.box.publicKeyLength);
  const box = sealed.slice(nacl.box.publicKeyLength);
  const message = nacl.box.open(box, nonceOf(once, publicKey), once, secretKey);
  return message && new TextDecoder().decode(message);
}
