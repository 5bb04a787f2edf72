// Publishes the eight binary packages and then libeam itself, which depends on them by exact version.
//
//   node scripts/release.mjs              says what is missing and what would be published
//   node scripts/release.mjs --publish    does it
//
// The root goes last, so that no one can install a libeam whose binaries are not there yet. It is published from a
// copy in which `optionalDependencies` is filled in; the working tree keeps its package.json.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "./native-file.mjs";

const { values: options } = parseArgs({ options: { publish: { type: "boolean", default: false } } });
const readJson = (file) => JSON.parse(readFileSync(file, "utf8"));

/** Everything that stands in the way of a release, as sentences. */
function problems(manifest, platforms) {
  const found = [];
  if (!existsSync(join(root, "dist", "index.js"))) found.push("dist/ is not built; run `npm run build:ts`.");
  for (const { name, folder } of platforms) {
    const { version, files } = readJson(join(folder, "package.json"));
    if (version !== manifest.version) found.push(`${name} has version ${version}, libeam has ${manifest.version}.`);
    for (const file of files) if (!existsSync(join(folder, file))) found.push(`${name} has no ${join(folder, file)}.`);
  }
  return found;
}

/** `npm publish` of a folder; a dry run unless --publish was given. */
function publish(folder) {
  const args = ["publish", "--access", "public", "--ignore-scripts", ...(options.publish ? [] : ["--dry-run"])];
  const { status } = spawnSync("npm", args, {
    cwd: folder,
    stdio: "inherit",
    shell: process.platform === "win32",
    env: { ...process.env, LIBEAM_SKIP_BUILD: "1" },
  });
  if (status !== 0) throw new Error(`npm publish failed in ${folder}; packages before it may be published already`);
}

/** The root package as users get it: no binary, no sources, exact versions of the binary packages. */
function stageRoot(manifest, platforms) {
  const stage = mkdtempSync(join(tmpdir(), "libeam-release-"));
  for (const file of ["dist", "index.js", "processor.js", "index.d.ts", "README.md", "LICENSE", "CHANGELOG.md"]) {
    cpSync(join(root, file), join(stage, file), { recursive: true });
  }
  const { scripts: _scripts, devDependencies: _devDependencies, ...published } = manifest;
  published.files = manifest.files.filter((file) => !file.startsWith("native/"));
  published.optionalDependencies = Object.fromEntries(platforms.map(({ name }) => [name, manifest.version]));
  writeFileSync(join(stage, "package.json"), `${JSON.stringify(published, null, 2)}\n`);
  return stage;
}

const manifest = readJson(join(root, "package.json"));
const platforms = readdirSync(join(root, "npm"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => ({
    name: `@libeam/${name}`,
    folder: join(root, "npm", name),
  }));

const found = problems(manifest, platforms);
if (found.length > 0) {
  console.error(`libeam ${manifest.version} cannot be released:\n${found.map((line) => `  ${line}`).join("\n")}`);
  process.exit(1);
}
for (const { folder } of platforms) publish(folder);
const stage = stageRoot(manifest, platforms);
try {
  publish(stage);
} finally {
  rmSync(stage, { recursive: true, force: true });
}
