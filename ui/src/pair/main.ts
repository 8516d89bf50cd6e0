import './pair.css';
import { begin } from './begin';

/** As for the display: what a shop gets pretends nothing. */
const rehearses = import.meta.env.MODE !== 'production';

begin(rehearses ? (await import('../testing/pretendedDisplay')).pretendedDisplay() : undefined);
// Another code that is opened in this tab changes only what stands behind the address.
window.addEventListener('hashchange', () => location.reload());
