import type { call } from '../host/web/call';
import { readInvitation } from './invitation';
import { pageIn } from './page';
import { Pairing } from './pairing';

/** Begins with the code with which this page was opened. */
export function begin(ask?: typeof call): void {
  const page = pageIn(document);
  const invitation = readInvitation(location.hash);
  // Whoever looks at the phone, or is sent the address of this page, is not to have it.
  history.replaceState(null, '', location.pathname + location.search);
  if (invitation === null) {
    page.show({
      name: 'over',
      message: 'This page belongs to a code. Scan the code on the display again.',
    });
    return;
  }
  void new Pairing(invitation, page, ask).run();
}
