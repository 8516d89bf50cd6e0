import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { keepHandsOff } from './lib/hands';
import { keepBeating } from './lib/heartbeat';
import { keepTime } from './lib/now.svelte';
import { Screen } from './lib/screen.svelte';
import { sentence } from './lib/sentence';

const inShell = '__TAURI_INTERNALS__' in window;
/** Somebody looks at scenes: nothing runs a till here. What a shop gets has no such page in it: nobody could be shown a made-up payment. */
const rehearses = import.meta.env.MODE !== 'production';

const { host } = await (inShell
  ? import('./host/tauri')
  : rehearses
    ? import('./testing/pretence')
    : import('./host/web'));

const target = document.querySelector('#display');
if (target === null) throw new Error('index.html has no #display');

const screen = new Screen(host);
keepTime();
keepBeating(host);
keepHandsOff();
const app = mount(App, { target, props: { host, screen } });
host.subscribe(screen.draw).catch((reason: unknown) => app.complain(sentence(reason)));
