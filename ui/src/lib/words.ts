import type { CatchUp } from '../host/generated/CatchUp';
import type { Display } from '../host/generated/Display';
import type { LinkState } from '../host/generated/LinkState';
import type { LinkView } from '../host/generated/LinkView';
import type { More } from '../host/generated/More';
import type { Paid } from '../host/generated/Paid';
import type { Verdict } from '../host/generated/Verdict';
import { isPlain, paidText, sumWords, titleWords } from './method';
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

/** Of a pay code that takes the whole height. */
export const longCode =
  'This pay code is long, so it is drawn as large as this screen allows. A shorter one is scanned from farther away.';

/** Of one that is hardly scanned even so. */
export const tooFine =
  'This pay code is too long for this screen: its squares are too small to be scanned. Use a shorter one.';

/** "3 payments while this display was away". */
export function awayWords(count: number): string {
  return `${count === 1 ? 'payment' : 'payments'} while this display was away`;
}

/** What a screen reader says when a payment is shown. */
export function spokenPaid(paid: Paid): string {
  const title = paid.verdict === 'verified' ? titleWords[paid.method] : 'Reported paid';
  const parts = [
    `${title}: ${paidText(paid)}`,
    paid.wallet === null ? '' : `in ${paid.wallet}`,
    paid.memo,
    paid.comment ?? '',
    verdictWords[paid.verdict],
  ];
  if (paid.more) parts.push(`and ${moreWords(paid.more, ', ')}`);
  return parts.filter((part) => part !== '').join(', ');
}

/** "3 more · 4,500 sats": what waits behind a payment. */
export function moreWords({ count, sums }: More, between: string): string {
  return sums.length === 0 ? `${count} more` : `${count} more${between}${sumWords(sums)}`;
}

export function spokenCatchUp(catchUp: CatchUp): string {
  const into = new Set(catchUp.items.map((item) => item.wallet).filter((name) => name !== null));
  const wallets = into.size > 0 ? `, in ${[...into].join(', ')}` : '';
  const { sums } = catchUp;
  const total = sums.length === 0 ? '' : `, ${sumWords(sums)}${isPlain(sums) ? ' together' : ''}`;
  return `${catchUp.count} ${awayWords(catchUp.count)}${total}${wallets}`;
}

/** A screen can be unreliable while connected, when a key was revoked or sees nothing, or the disk is full. */
export function unreliableWords({ wallets, link }: Display): string {
  const links = wallets.length > 1 ? wallets.map((wallet) => wallet.link) : [link];
  if (links.every(isApart)) return 'Not connected';
  return wallets.length > 1 ? 'Payments cannot be relied on' : 'Not reliable';
}

/** "not connected since 14:03", of one wallet among several. */
export function downWords(link: LinkView, now: number): string {
  const words = isApart(link) ? 'not connected' : 'not reliable';
  return link.untrustedSince === null ? words : `${words} since ${dayTime(link.untrustedSince, now)}`;
}

/** A key that sees no payments is connected all the same: reconnecting would not help. */
const isApart = ({ state, detail }: LinkView) =>
  (state === 'down' || state === 'connecting') && detail?.code !== 'key-blind';

/** "arrived at 14:03", "arrived yesterday 14:03". */
export function arrivedWords(at: string, now: number): string {
  const when = dayTime(at, now);
  return when === clockTime(at) ? `arrived at ${when}` : `arrived ${when}`;
}
