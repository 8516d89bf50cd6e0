import type { PairingForm } from '../host/generated/PairingForm';
import type { PairingStep } from '../host/generated/PairingStep';
import type { StepState } from '../host/generated/StepState';
import type { News, Page, Stage } from './pairing';

const words: Record<StepState, string> = {
  waiting: 'waiting',
  running: 'under way',
  done: 'done',
  failed: 'failed',
};

/** Shows stages in the markup of `pair.html`. */
export function pageIn(document: Document): Page {
  const part = <E extends HTMLElement>(role: string): E => {
    const found = document.querySelector<E>(`[data-role="${role}"]`);
    if (found === null) throw new Error(`pair.html has nothing with the role "${role}"`);
    return found;
  };
  const fields = {
    pairing: part<HTMLTextAreaElement>('pairing'),
    invoiceKey: part<HTMLInputElement>('invoice-key'),
    name: part<HTMLInputElement>('shop-name'),
  };
  const form = part<HTMLButtonElement>('pair').form as HTMLFormElement;

  /** The focus goes to where it goes on: what had it may be hidden now. */
  function turnTo(name: Stage['name']) {
    if (document.body.dataset.stage === name) return;
    document.body.dataset.stage = name;
    for (const section of document.querySelectorAll<HTMLElement>('section'))
      section.hidden = section.dataset.stage !== name;
    part('spoken').textContent = '';
    document.querySelector<HTMLElement>(`section[data-stage="${name}"] h1`)?.focus();
    window.scrollTo(0, 0);
  }

  function tell(role: string, text: string | null) {
    const place = part(role);
    place.hidden = text === null;
    write(place, text ?? '');
  }

  function showNews({ progress, toConfirm }: News) {
    const steps = progress?.steps ?? [];
    part('to-confirm').hidden = !toConfirm;
    drawSteps(part('steps'), steps);
    const running = steps.find((step) => step.state === 'running');
    if (toConfirm) write(part('spoken'), part('to-confirm').textContent ?? '');
    else if (running) write(part('spoken'), `${running.label.text}: ${words.running}`);
  }

  /** A key has no business here once it is sent for good. */
  function forget() {
    for (const field of Object.values(fields)) field.value = '';
  }

  return {
    show(stage) {
      turnTo(stage.name);
      switch (stage.name) {
        case 'claiming':
          break;
        case 'writing':
          tell('complaint', stage.complaint);
          break;
        case 'trying':
          write(part('number'), `${stage.number.slice(0, 3)} ${stage.number.slice(3)}`);
          showNews(stage.news);
          break;
        case 'paired':
          forget();
          write(part('shop'), stage.shop);
          break;
        case 'over':
          forget();
          write(part('over'), stage.message);
          break;
      }
    },

    trouble: (text) => tell('trouble', text),

    written: () =>
      new Promise((sent) => {
        form.onsubmit = (event) => {
          event.preventDefault();
          const written = formOf(fields);
          if (written !== null) return sent(written);
          tell('complaint', 'Paste the address of your wallet first.');
          fields.pairing.focus();
        };
      }),
  };
}

/** `null` where there is nothing to pair. */
function formOf(fields: Record<'pairing' | 'invoiceKey' | 'name', { value: string }>): PairingForm | null {
  const pairing = fields.pairing.value.trim();
  if (pairing === '') return null;
  const invoiceKey = fields.invoiceKey.value.trim() || null;
  const name = fields.name.value.trim() || null;
  return { pairing, invoiceKey, name, allowInsecure: false };
}

/** A text that stays the same is not written again: it would be read out again. */
function write(place: HTMLElement, text: string) {
  if (place.textContent !== text) place.textContent = text;
}

function drawSteps(list: HTMLElement, steps: PairingStep[]) {
  while (list.children.length > steps.length) list.lastElementChild?.remove();
  steps.forEach((step, at) => {
    const line = (list.children[at] as HTMLElement | undefined) ?? list.appendChild(newLine());
    line.dataset.state = step.state;
    const [label, state, detail] = line.children as unknown as HTMLElement[];
    if (label) write(label, step.label.text);
    if (state) write(state, `: ${words[step.state]}`);
    if (detail) write(detail, step.detail?.text ?? '');
  });
}

/** A step's label, its state for who only listens, and its detail. */
function newLine(): HTMLElement {
  const line = document.createElement('li');
  line.dataset.role = 'step';
  for (const name of ['label outside', 'spoken', 'detail outside']) {
    const span = line.appendChild(document.createElement('span'));
    span.className = name;
    span.dir = 'auto';
  }
  return line;
}
