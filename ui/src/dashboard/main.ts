import { mount } from 'svelte';
import './dashboard.css';
import { keepTime } from '../lib/now.svelte';
import { server } from './api';
import Dashboard from './Dashboard.svelte';
import { Live } from './live.svelte';
import { steadily } from './steady';

/** As for the display: what a shop gets pretends nothing. */
const rehearses = import.meta.env.MODE !== 'production';

const target = document.querySelector('#dashboard');
if (target === null) throw new Error('dashboard.html has no #dashboard');

const live = new Live(rehearses ? (await import('./pretence')).pretendedShop() : server, steadily);
keepTime();
mount(Dashboard, { target, props: { live } });
live.begin();
