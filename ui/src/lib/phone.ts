/** An address as people compare it: the secret behind it is for a camera, not for eyes. */
export function shortened(url: string): string {
  const fragment = url.indexOf('#') + 1;
  return fragment === 0 ? url : `${url.slice(0, fragment + 4)}…`;
}

/** A number as people read it aloud: three digits, a pause, three digits. */
export function inThrees(number: string): string[] {
  return number.match(/.{1,3}/g) ?? [];
}
