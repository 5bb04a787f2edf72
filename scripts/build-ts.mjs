// Compiles lib/ to dist/ with the package's own tsc. dist/ is emptied first, so that a file whose source is gone
// is not published; the new tree is complete before it takes the old one's place.

import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./native-file.mjs";
import { tsc } from "./typescript.mjs";

const fresh = join(root, `dist.${process.pid}.tmp`);
if (tsc("-p", "tsconfig.build.json", "--outDir", fresh)) {
  rmSync(join(root, "dist"), { recursive: true, force: true });
  renameSync(fresh, join(root, "dist"));
  console.log("typescript: dist/");
} else {
  rmSync(fresh, { recursive: true, force: true });
  process.exitCode = 1;
}
