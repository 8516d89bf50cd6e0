import { expect, it } from 'vitest';
import { displayLine } from '../host/samples';
import { remarks, seenWords } from './displays';

const now = new Date(2026, 10, 24, 14, 30).getTime();
const at = (day: number) => new Date(2026, 10, day, 9, 5).toISOString();

it('says when a display was last seen', () => {
  expect(seenWords(displayLine(), now)).toBe('connected');
  expect(seenWords(displayLine({ connected: false, last_seen: at(24) }), now)).toBe('last seen at 09:05');
  expect(seenWords(displayLine({ connected: false, last_seen: at(23) }), now)).toBe(
    'last seen yesterday 09:05',
  );
  expect(seenWords(displayLine({ connected: false, last_seen: null }), now)).toBe('not seen yet');
});

it('says what a display says of itself', () => {
  expect(remarks(displayLine())).toEqual(['kept awake']);
  const faint = { visible: false, sound: false, awake: false };
  expect(remarks(displayLine(faint))).toEqual(['not in front', 'sound is off: tap its screen']);
});

it('asks nobody to help with the sound of a display that is not to ring', () => {
  expect(remarks(displayLine({ rings: false, sound: false, awake: false }))).toEqual([]);
});

it('says nothing where a display has not, or is away', () => {
  expect(remarks(displayLine({ visible: null, sound: null, awake: null }))).toEqual([]);
  expect(remarks(displayLine({ connected: false, visible: false }))).toEqual([]);
});
