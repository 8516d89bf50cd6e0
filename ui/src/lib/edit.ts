/** What is being done to one of the wallets. It outlives the list, which a payment may cover. */
export interface Edit {
  what: 'rename' | 'remove';
  wallet: string;
  /** The new name as it is typed. */
  text: string;
  /** Why it was refused. */
  refused: string | null;
}
