import type { CatchUp } from '../host/generated/CatchUp';
import type { LinkState } from '../host/generated/LinkState';
import type { Paid } from '../host/generated/Paid';
import type { Verdict } from '../host/generated/Verdict';
import { amountText } from './amount';
import { clockTime, dayTime } from './time';

/** What a verdict means, for somebody who has never heard of one. */
export const verdictWords: Record<Verdict, string> = {
  verified: 'confirmed by the wallet',
  reported: 'not confirmed by the wallet',
};

export const linkWords: Record<LinkState, string> = {
  connecting: 'connecting…',
  live: 'listening',
  polling: 'asking every few seconds',
  down: 'not connected',
};

/** "3 payments while this display was away". */
export function awayWords(count: number): string {
  return `${count === 1 ? 'payment' : 'payments'} while this display was away`;
}

/** What a screen reader says when a payment is shown. */
export function spokenPaid(paid: Paid): string {
  const title = paid.verdict === 'verified' ? 'Paid' : 'Reported paid';
  const parts = [
    `${title}: ${amountText(paid.amountMsat)}`,
    paid.memo,
    paid.comment ?? '',
    verdictWords[paid.verdict],
  ];
  if (paid.more) parts.push(`and ${paid.more.count} more, ${amountText(paid.more.totalMsat)}`);
  return parts.filter((part) => part !== '').join(', ');
}

export function spokenCatchUp(catchUp: CatchUp): string {
  return `${catchUp.count} ${awayWords(catchUp.count)}, ${amountText(catchUp.totalMsat)} together`;
}

/** A screen can be unreliable while connected, when a key was revoked or the disk is full. */
export function untrustedWords(state: LinkState): string {
  return state === 'down' || state === 'connecting' ? 'Not connected' : 'Not reliable';
}

/** "arrived at 14:03", "arrived yesterday 14:03". */
export function arrivedWords(at: string, now: number): string {
  const when = dayTime(at, now);
  return when === clockTime(at) ? `arrived at ${when}` : `arrived ${when}`;
}
