import type { KeyPlace } from '../host/generated/KeyPlace';
import type { Sentence } from '../host/generated/Sentence';

/** How a sentence reads here. One in another language would be made from its code and its arguments. */
export function say(sentence: Sentence): string {
  return sentence.text;
}

/** What a refused request says to people: the host rejects with a sentence. Anything else is a fault of ours. */
export function sentence(reason: unknown): string {
  if (typeof reason === 'string' && reason.trim() !== '') return reason;
  if (isSentence(reason)) return say(reason);
  if (reason instanceof Error && reason.message !== '') return reason.message;
  return 'That did not work. Please try again.';
}

function isSentence(reason: unknown): reason is Sentence {
  return typeof reason === 'object' && reason !== null && 'code' in reason && 'text' in reason;
}

/** Where a wallet's key is kept. */
export const keyPlaceWords: Record<KeyPlace, string> = {
  keyring: 'this desktop’s keyring',
  file: 'a file that only this user can read',
};
