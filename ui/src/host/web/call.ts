import type { Sentence } from '../generated/Sentence';

/** A server that has not answered by then does not. */
export const patience = 10_000;

export interface Answer {
  status: number;
  /** What was answered as JSON; `null` where it was none. */
  said: unknown;
}

/** Asks the server that this page is from; with `told` it is told something. Rejects where nothing answers. */
export async function call(path: string, told?: unknown): Promise<Answer> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), patience);
  try {
    const how = told === undefined ? {} : posted(told);
    const response = await fetch(path, { ...how, cache: 'no-store', signal: over.signal });
    return { status: response.status, said: parsed(await response.text()) };
  } finally {
    clearTimeout(timer);
  }
}

function posted(told: unknown): RequestInit {
  return {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(told),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A part of what was answered, where it is a text. */
export function textIn(said: unknown, name: string): string | null {
  const part = typeof said === 'object' && said !== null ? (said as Record<string, unknown>)[name] : null;
  return typeof part === 'string' ? part : null;
}

/** What Tillbell says of a request that it refuses; `null` where it is not Tillbell that answered. */
export function refusal({ said }: Answer): Sentence | null {
  const error = typeof said === 'object' && said !== null && 'error' in said ? said.error : null;
  const [code, text] = [textIn(error, 'code'), textIn(error, 'message')];
  return code !== null && text !== null ? { code, args: {}, text } : null;
}
