import type { Sentence } from '../host/generated/Sentence';
import { type Answer, call, refusal } from '../host/web/call';

/** Where this page gets everything from. */
export interface Source {
  get: (path: string) => Promise<Answer>;
  events: (path: string) => EventSource;
}

export const server: Source = {
  get: (path) => call(path),
  events: (path) => new EventSource(path),
};

/** What Tillbell said instead of an answer. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly said: Sentence,
  ) {
    super(said.text);
  }

  /** This browser may not ask; another question would be refused, too. */
  get isForGood(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

/** The answer, or throws [`Refused`]; anything else that it throws says that Tillbell did not answer. */
export async function ask<T>({ get }: Source, path: string): Promise<T> {
  const answer = await get(path);
  const said = refusal(answer);
  if (said !== null) throw new Refused(answer.status, said);
  if (answer.status !== 200 || answer.said === null) throw new Error('Something else answered.');
  return answer.said as T;
}
