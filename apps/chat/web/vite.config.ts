// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// The server that `npm run dev` passes WebSockets to.
const server = process.env['RONDO_URL'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  resolve: {
    alias: {
      '@ui': here('../../../web/ui'),
      '@fontsource': here('./node_modules/@fontsource'),
    },
    // web/ui lies outside of this package; it must find the same Preact.
    dedupe: ['preact'],
  },
  build: {
    target: 'es2022',
    // Nothing becomes a data: address, so that `default-src 'self'` is enough of a policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 150,
  },
  server: {
    fs: { allow: [here('.'), here('../../../web/ui')] },
    proxy: { '/ws': { target: server, ws: true } },
  },
});
