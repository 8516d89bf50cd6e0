import { describe, expect, it, vi } from 'vitest';
import { display, scenes } from '../host/samples';
import { rehearse } from '../testing/rehearsal';
import { flashLayout, rgb } from './flashLayout';

const scene = () => {
  const found = document.querySelector<HTMLElement>('.paid');
  if (found === null) throw new Error('the scene is not in the document');
  return found;
};

describe('a colour', () => {
  it('is read as the browser computes it', () => {
    expect(rgb('rgb(52, 214, 124)')).toEqual([52, 214, 124]);
    expect(rgb('rgba(52, 214, 124, 1)')).toEqual([52, 214, 124]);
  });

  it('is none when it lets something through, or is written in another way', () => {
    expect(rgb('rgba(52, 214, 124, 0.5)')).toBeNull();
    expect(rgb('color(srgb 0 1 0)')).toBeNull();
    expect(rgb('')).toBeNull();
  });
});

describe('the layout for the shell', () => {
  const measured = (width = innerWidth, height = innerHeight, shown = scenes.idle()) => {
    rehearse(display(shown));
    const place = { x: 0, y: 0, width, height };
    vi.spyOn(Element.prototype, 'getBoundingClientRect').mockReturnValue(place as DOMRect);
    const read = window.getComputedStyle.bind(window);
    vi.spyOn(window, 'getComputedStyle').mockImplementation((element) => {
      const { by = '', verdict = '' } = (element as HTMLElement).dataset;
      const names = ['lightning', 'card', 'cash', 'other'];
      const shade = verdict === 'reported' ? 9 : names.indexOf(by);
      const colours: Record<string, string> = {
        backgroundColor: `rgb(${shade}, 0, 0)`,
        color: `rgb(0, 0, ${shade})`,
      };
      return new Proxy(read(element), {
        get: (style, name) => colours[String(name)] ?? Reflect.get(style, name, style),
      });
    });
    return flashLayout(scene());
  };

  it('has the colours of every kind of payment, and leaves the scene as it was', () => {
    const layout = measured();
    const grounds = Object.entries(layout?.colours ?? {}).map(([name, { ground }]) => [name, ground[0]]);
    expect(grounds).toEqual([
      ['lightning', 0],
      ['card', 1],
      ['cash', 2],
      ['other', 3],
      ['reported', 9],
    ]);
    expect({ ...scene().dataset }).toMatchObject({ by: 'lightning', verdict: 'verified' });
  });

  it('is the same while a payment in fiat is shown, whose amount has no unit', () => {
    const fiat = { currency: 'EUR', amount: '1.50' };
    expect(measured(innerWidth, innerHeight, scenes.paid({ method: 'card', fiat }))).not.toBeNull();
  });

  it('is none where a payment does not fill the page: the ribbon of the demo is above it', () => {
    expect(measured(innerWidth, innerHeight - 52)).toBeNull();
  });
});
