// Compiles lib/ to dist/ with the package's own tsc. dist/ is emptied first, so that a file whose source is gone
// is not published; the new tree is complete before it takes the old one's place.

import { spawnSync } from "node:child_process";
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./native-file.mjs";

const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
if (!existsSync(tsc)) {
  console.error("libeam: typescript is not installed; run `npm install` first.");
  process.exit(1);
}
const fresh = join(root, `dist.${process.pid}.tmp`);
const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", fresh], {
  cwd: root,
  stdio: "inherit",
});
if (status === 0) {
  rmSync(join(root, "dist"), { recursive: true, force: true });
  renameSync(fresh, join(root, "dist"));
  console.log("typescript: dist/");
} else {
  rmSync(fresh, { recursive: true, force: true });
  process.exitCode = 1;
}
