import type { WalletView } from '../host/generated/WalletView';

/** Payments to this wallet may come without showing here. */
export function isDown({ link }: WalletView): boolean {
  return link.state === 'down' || link.untrustedSince !== null;
}

/** Those in trouble first; otherwise the order of their pairing. */
export function troubleFirst(wallets: WalletView[]): WalletView[] {
  return [...wallets].sort((one, other) => rank(one) - rank(other));
}

function rank(wallet: WalletView): number {
  if (isDown(wallet)) return 0;
  return wallet.link.state === 'live' ? 2 : 1;
}
