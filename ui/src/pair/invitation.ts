import { fromBase64Url } from './bytes';

/** What the display's code says behind its address. */
export interface Invitation {
  /** Whom to seal to: who reads the network along has not got it. */
  publicKey: Uint8Array;
  /** Shows that somebody has seen the code. */
  token: Uint8Array;
}

const publicKeyLength = 32;

/** Reads what stands behind an address, `#` and all; `null` where that is no invitation. */
export function readInvitation(hash: string): Invitation | null {
  const text = /^#([\w-]{64})$/.exec(hash)?.[1];
  if (text === undefined) return null;
  const bytes = fromBase64Url(text);
  return { publicKey: bytes.slice(0, publicKeyLength), token: bytes.slice(publicKeyLength) };
}
