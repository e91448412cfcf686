// SPDX-License-Identifier: Apache-2.0
// Bundles the tests (the sources are TypeScript) and gives them to Node's own test runner.

import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = join(here, '..', '.tests');
const files = readdirSync(join(here, 'unit')).filter((name) => name.endsWith('.test.mjs'));

rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: files.map((name) => join(here, 'unit', name)),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node18',
  packages: 'external',
  // Node 18 has no global crypto, as browsers do.
  banner: { js: "import { webcrypto } from 'node:crypto'; globalThis.crypto ??= webcrypto;" },
  logLevel: 'warning',
});
const run = spawnSync(process.execPath, ['--test', ...files.map((name) => join(out, name))], { stdio: 'inherit', timeout: 120_000 });
process.exit(run.status ?? 1);
