/**
 * The built package, as its users get it.
 *
 * Benches MUST import libeam from here. `import "libeam"` would be mapped to lib/index.ts by the `paths` of
 * tsconfig.json, which tsx obeys, and the sources as tsx compiles them are not what is published: tsx keeps function
 * names by defining a property on every named closure, which costs more than a cast. So the entry is taken from the
 * manifest's `main`; the types still come from the sources.
 */
import { existsSync, readFileSync } from "node:fs";

type Libeam = typeof import("libeam");

const root = new URL("../", import.meta.url);
const manifest: { main: string; version: string } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
const entry = new URL(manifest.main, root);

if (!existsSync(entry)) {
  console.error(`The benchmark measures the built package, and ${manifest.main} is missing. Run: npm run build`);
  process.exit(2);
}

const built: Libeam = await import(entry.href);

export const version = manifest.version;
export const { Actor, createActor, createSystem, telemetry, TelemetryEvents } = built;
export const { Consumer, ConsumerSupervisor, Producer, ProducerConsumer } = built;
// Named, because its class is not exported.
export const loggerConfig: Libeam["loggerConfig"] = built.loggerConfig;
