import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

const MOST_BYTES = 6_000;

test(`the client is at most ${MOST_BYTES} bytes, minified and gzipped`, (t) => {
  const { outputFiles } = buildSync({
    entryPoints: [new URL("../src/index.js", import.meta.url).pathname],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const { length } = gzipSync(outputFiles[0].contents, { level: 9 });
  t.diagnostic(`${length} bytes`);
  assert.ok(length <= MOST_BYTES, `${length} bytes`);
});
