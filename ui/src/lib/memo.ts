/** How large a text from outside is set: the longer it is, the smaller. */
export type Size = 'short' | 'medium' | 'long' | 'endless';

/** By the room it takes: Chinese, Japanese, Korean and emoji are twice as wide as Latin. */
export function sizeFor(text: string): Size {
  let room = 0;
  for (const char of text) room += wide.test(char) ? 2 : 1;
  if (room <= 28) return 'short';
  if (room <= 80) return 'medium';
  if (room <= 200) return 'long';
  return 'endless';
}

const wide =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Extended_Pictographic}/u;
