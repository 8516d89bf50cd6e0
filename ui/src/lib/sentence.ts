/** What a refused request says to people. The host rejects with a sentence; anything else is a fault of ours. */
export function sentence(reason: unknown): string {
  if (typeof reason === 'string' && reason.trim() !== '') return reason;
  if (reason instanceof Error && reason.message !== '') return reason.message;
  return 'That did not work. Please try again.';
}
