// Many lives, or one of them again.
//
//     npm run simulate -- --runs 5000 --seed 1
//     npm run simulate -- --seed 4711

import { parseArgs } from "node:util";
import { live } from "./lives.js";

const { values } = parseArgs({ options: { runs: { type: "string" }, seed: { type: "string" } } });
const runs = Number(values.runs ?? 1);
const first = Number(values.seed ?? 1);
let failed = 0;
for (let seed = first; seed < first + runs; seed++) {
  const { complaints } = await live(seed, { trace: runs === 1 });
  for (const complaint of complaints) console.log(`seed ${seed}: ${complaint}`);
  if (complaints.length && ++failed) console.log(`again: npm run simulate -- --seed ${seed}`);
}
console.log(`${runs - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
