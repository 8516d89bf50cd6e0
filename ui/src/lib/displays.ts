import type { DisplayLine } from '../host/generated/DisplayLine';
import type { DisplayRole } from '../host/generated/DisplayRole';
import { clockTime, dayTime } from './time';

/** Who looks at a display. */
export const roleWords: Record<DisplayRole, string> = {
  customer: 'for customers',
  operator: 'for the operator',
  program: 'a program',
};

/** "connected", "last seen at 14:03", "last seen yesterday 14:03", "not seen yet". */
export function seenWords({ connected, last_seen }: DisplayLine, now: number): string {
  if (connected) return 'connected';
  if (last_seen === null) return 'not seen yet';
  const when = dayTime(last_seen, now);
  return when === clockTime(last_seen) ? `last seen at ${when}` : `last seen ${when}`;
}

/** What a display says of itself that somebody might want to know. What it said before it went counts no more. */
export function remarks({ connected, visible, sound, rings, awake }: DisplayLine): string[] {
  if (!connected) return [];
  const said: [boolean, string][] = [
    [visible === false, 'not in front'],
    [rings && sound === false, 'sound is off: tap its screen'],
    [awake === true, 'kept awake'],
  ];
  return said.filter(([holds]) => holds).map(([, words]) => words);
}
