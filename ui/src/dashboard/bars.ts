/** Where the lines of a chart stand, from 0 up to at least `most`: at round numbers, four of them or so. */
export function ticks(most: number, smallest = 1): number[] {
  const rough = Math.max(most, smallest) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = [1, 2, 5, 10].map((step) => step * power).find((step) => step >= rough);
  const step = Math.max(round ?? rough, smallest);
  const count = Math.max(1, Math.ceil(most / step));
  return Array.from({ length: count + 1 }, (_, i) => i * step);
}

/** Every how many hours one is named, so that names of this width do not run into each other. */
export function namedEach(step: number, width: number): number {
  return [1, 2, 3, 4, 6].find((each) => each * step >= width) ?? 12;
}
