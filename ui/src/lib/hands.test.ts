import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { keepHandsOff, pointerRests } from './hands';

const root = document.documentElement;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  document.body.innerHTML = '<p>Paid</p><input /><textarea></textarea>';
  root.dataset.display = 'operator';
  stop = keepHandsOff();
});

afterEach(() => {
  stop();
  vi.useRealTimers();
});

/** True when what the hand does has no effect. */
function isRefused(event: Event, on = 'p'): boolean {
  return document.querySelector(on)?.dispatchEvent(event) === false;
}

const event = (name: string, more = {}) =>
  Object.assign(new Event(name, { bubbles: true, cancelable: true }), more);

it.each(['contextmenu', 'dragstart', 'dragover', 'drop'])('lets %s do nothing but in a field', (name) => {
  expect(isRefused(event(name))).toBe(true);
  expect(isRefused(event(name), 'input')).toBe(false);
  expect(isRefused(event(name), 'textarea')).toBe(false);
  root.dataset.display = 'customer';
  expect(isRefused(event(name), 'input')).toBe(true);
});

it('does not zoom, by two fingers, by the wheel, or by keys', () => {
  expect(isRefused(event('touchstart', { touches: [1, 2] }))).toBe(true);
  expect(isRefused(event('touchmove', { touches: [1, 2, 3] }))).toBe(true);
  expect(isRefused(event('wheel', { ctrlKey: true }))).toBe(true);
  expect(isRefused(event('gesturestart'))).toBe(true);
  for (const key of ['+', '-', '=', '0'])
    expect(isRefused(event('keydown', { ctrlKey: true, key }))).toBe(true);
});

it('lets one finger, the wheel and keys do what they do', () => {
  expect(isRefused(event('touchstart', { touches: [1] }))).toBe(false);
  expect(isRefused(event('wheel', { ctrlKey: false }))).toBe(false);
  for (const [key, ctrlKey] of [
    ['+', false],
    ['v', true],
    ['Enter', false],
  ])
    expect(isRefused(event('keydown', { ctrlKey, key }))).toBe(false);
});

it('puts a pointer away that rests, and brings it back when it moves', () => {
  expect(root.dataset.pointer).toBeUndefined();
  vi.advanceTimersByTime(pointerRests - 1);
  document.dispatchEvent(event('pointermove'));
  vi.advanceTimersByTime(pointerRests - 1);
  expect(root.dataset.pointer).toBeUndefined();
  vi.advanceTimersByTime(1);
  expect(root.dataset.pointer).toBe('resting');
  document.dispatchEvent(event('pointermove'));
  expect(root.dataset.pointer).toBeUndefined();
});
