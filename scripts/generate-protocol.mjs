/**
 * Writes lib/kernel/protocol.ts from the table that the addon exports.
 *
 * The table's owner is crates/libeam-core/src/ring/protocol.rs. A test (__test__/native/protocol.spec.ts) fails when
 * the written file and the addon differ. Run with `npm run generate:protocol` after a change there.
 */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadNative } from "../index.js";

/** The text of lib/kernel/protocol.ts for a table of numbers. */
export function protocolSource(table) {
  const lines = Object.entries(table).map(([name, value]) => `export const ${name} = ${value};`);
  return `/**
 * Generated from crates/libeam-core/src/ring/protocol.rs by \`npm run generate:protocol\`. Do not edit.
 *
 * The numbers on which the isolate and the core agree; that file says what each of them means.
 */

${lines.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = fileURLToPath(new URL("../lib/kernel/protocol.ts", import.meta.url));
  writeFileSync(target, protocolSource(loadNative().protocolTable()));
}
