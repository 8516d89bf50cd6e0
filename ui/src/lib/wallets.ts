import type { WalletView } from '../host/generated/WalletView';

/** Payments to this wallet may come without showing here. */
export function isDown({ link }: WalletView): boolean {
  return link.state === 'down' || link.untrustedSince !== null;
}
