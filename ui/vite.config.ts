import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// What a server sends to displays in browsers; the preview sends it too, so that a break shows before they meet it. But for where
// it connects to, the desktop shell's is wider.
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "media-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

// Tests read amounts and times as one place writes them. Set here because only a new process takes it up.
if (process.env.VITEST) Object.assign(process.env, { LC_ALL: 'en_GB.UTF-8', TZ: 'Europe/Berlin' });

export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  build: {
    // Safari 15.4, of a phone that pairs, runs what is made for 16. Were it named here, the display would lose its private fields.
    target: ['es2022', 'safari16'],
    cssTarget: ['chrome108', 'safari15.4'],
    // The display, the page for that phone, and the shop's day.
    rolldownOptions: { input: ['index.html', 'pair.html', 'dashboard.html'] },
    // The polyfill and preload links only cost time: everything is on the local disk.
    modulePreload: false,
    reportCompressedSize: false,
  },
  // Under Vitest Svelte would otherwise resolve to its server side.
  resolve: mode === 'test' ? { conditions: ['browser'] } : {},
  server: { port: 1420, strictPort: true, fs: { allow: ['..'] } },
  preview: { port: 4173, headers: { 'Content-Security-Policy': contentSecurityPolicy } },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    restoreMocks: true,
    unstubGlobals: true,
  },
}));
