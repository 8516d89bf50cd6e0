const longest = 64;

/** What is wrong with a wallet's name, in a sentence; `null` when nothing is. */
export function nameFault(name: string): string | null {
  if (name === '') return 'A wallet needs a name.';
  if ([...name].length > longest) return `A name has at most ${longest} characters.`;
  return null;
}
