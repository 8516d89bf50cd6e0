import type { AddedDisplay } from './generated/AddedDisplay';
import type { AskingLine } from './generated/AskingLine';
import type { Display } from './generated/Display';
import type { DisplayLine } from './generated/DisplayLine';
import type { DisplayRole } from './generated/DisplayRole';
import type { FlashLayout } from './generated/FlashLayout';
import type { PairingForm } from './generated/PairingForm';
import type { PairingPreview } from './generated/PairingPreview';
import type { PayCode } from './generated/PayCode';
import type { Reply } from './generated/Reply';
import type { Request } from './generated/Request';
import type { SettingsForm } from './generated/SettingsForm';
import type { SettingsView } from './generated/SettingsView';

/** The one door between this UI and whatever runs the till. */
export interface Door {
  /** Draws the present picture at once and every later one. */
  subscribe(draw: (display: Display) => void): Promise<void>;
  /** Asks, and has the answer; a refusal is one, too. */
  ask(request: Request): Promise<Reply>;
}

/** The displays in browsers, and the pages that ask to be one. */
export interface Displays {
  displays: DisplayLine[];
  asking: AskingLine[];
}

/** A display that was added, and its link as a code to be scanned. */
export interface NewDisplay {
  added: AddedDisplay;
  code: PayCode | null;
}

/**
 * The same door, a function for each request.
 *
 * Every request can be refused; it then rejects with a sentence for people (see `sentence` in `lib/sentence`).
 */
export interface Host extends Pick<Door, 'subscribe'> {
  /** Says that this showing is on the glass. */
  painted(showing: number): Promise<void>;
  /** Says that this window still draws; `beat` grows by one. */
  heartbeat(beat: number): Promise<void>;
  /** Says where and how this page draws an amount; `null` where a payment does not fill it. */
  flashLayout(layout: FlashLayout | null): Promise<void>;
  /** The drawing of the pay code that the picture names. */
  payCode(id: number): Promise<PayCode>;

  /** What was understood of a pasted text; nothing is dialled. */
  previewPairing(text: string): Promise<PairingPreview>;
  /** Starts pairing and returns; how it goes arrives in the welcome scene. */
  pair(form: PairingForm): Promise<void>;
  cancelPairing(): Promise<void>;
  /** Shows a code for a phone; how it goes arrives in the welcome scene. */
  pairByPhone(): Promise<void>;
  /** The drawing of that code. */
  phoneCode(): Promise<PayCode>;
  /** Says that the wallet which a phone has sent is the merchant's, and that the phone shows this number, too. */
  confirmPairing(number: string): Promise<void>;
  openWelcome(): Promise<void>;
  leaveWelcome(): Promise<void>;
  tryDemo(): Promise<void>;

  settings(): Promise<SettingsView>;
  /** Changes what the form names and answers with all settings as they are then. */
  changeSettings(form: SettingsForm): Promise<SettingsView>;
  /** Removes this wallet from the display and answers with what is left. */
  unpair(name: string): Promise<SettingsView>;
  renameWallet(name: string, to: string): Promise<SettingsView>;
  testRing(): Promise<void>;

  displays(): Promise<Displays>;
  /** Makes a link for one browser, or a token for a program; without a name it gets one. */
  addDisplay(role: DisplayRole, name: string | null): Promise<NewDisplay>;
  /** Makes the page that shows these letters a display for customers, and answers with its name. */
  allowDisplay(letters: string, name: string | null): Promise<string>;
  /** Ends a display at once. */
  revokeDisplay(name: string): Promise<void>;
  /** Lets a display ring, or no longer. */
  soundDisplay(name: string, on: boolean): Promise<void>;

  dismissNotice(id: number): Promise<void>;
  /** Puts a payment or a catch-up away before its time. */
  dismissShowing(showing: number): Promise<void>;
  toggleFullScreen(): Promise<void>;
}
