/** Keys that are held with others or move the focus say nothing about the payment on the screen. */
const silent = new Set(['Shift', 'Control', 'Alt', 'AltGraph', 'Meta', 'CapsLock', 'NumLock', 'Tab', 'Dead']);

/** Whether a key is meant to put away what is shown. */
export function isDismissal(event: KeyboardEvent): boolean {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return false;
  if (event.target instanceof Element && event.target.closest('[data-own-keys]')) return false;
  return !silent.has(event.key) && !/^F\d+$/.test(event.key);
}

/** S opens the settings, unless somebody is writing. */
export function isSettingsKey(event: KeyboardEvent): boolean {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return false;
  if (event.target instanceof Element && event.target.closest('input, textarea, select')) return false;
  return event.key.toLowerCase() === 's';
}
