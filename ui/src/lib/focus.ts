const reachable = 'button, input, select, textarea, a[href], [tabindex]:not([tabindex="-1"])';

/** Keeps Tab within a sheet; the focus goes back where it was when the sheet leaves. */
export function trapFocus(sheet: HTMLElement): () => void {
  const before = document.activeElement;

  const onkeydown = (event: KeyboardEvent) => {
    if (event.key !== 'Tab') return;
    const stops = [...sheet.querySelectorAll<HTMLElement>(reachable)].filter(
      (stop) => !stop.matches(':disabled'),
    );
    const first = stops[0];
    const last = stops.at(-1);
    if (first === undefined || last === undefined) return;
    const here = document.activeElement;
    if (event.shiftKey ? here === first || here === sheet : here === last) {
      event.preventDefault();
      (event.shiftKey ? last : first).focus();
    }
  };

  sheet.addEventListener('keydown', onkeydown);
  // Something in it may have taken the focus already.
  if (!sheet.contains(before)) sheet.focus();
  return () => {
    sheet.removeEventListener('keydown', onkeydown);
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  };
}

/** Escape within this part closes it and nothing around it. */
export function closedByEscape(close: () => void): (part: HTMLElement) => () => void {
  return (part) => {
    const onkeydown = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || event.isComposing) return;
      event.stopPropagation();
      close();
    };
    part.addEventListener('keydown', onkeydown);
    return () => part.removeEventListener('keydown', onkeydown);
  };
}

/** What has just opened may be below the edge of a small screen. */
export function bringUp(part: HTMLElement): void {
  part.scrollIntoView({ block: 'nearest' });
  part.focus();
}
