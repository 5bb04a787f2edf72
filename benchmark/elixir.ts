/**
 * The Elixir side as a peer: a script of elixir/ in its serving mode, one round per request.
 *
 * Two processes are kept, one with a scheduler per core and one with a single scheduler. A ping-pong between two
 * processes is faster on one scheduler, work that spreads is faster on all: the table compares with the better one.
 * Idle, they cost nothing; they end when their standard input is closed.
 *
 * GenStage is no part of Elixir: its script compiles the source that GEN_STAGE_PATH names.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Peer } from "./harness.js";
import { sources } from "./places.js";

/** A script of the Elixir side. */
export interface ElixirScript {
  file: string;
  /** A quick case, for a round that is thrown away. */
  firstCase: string;
  /** The distribution between its BEAMs is encrypted. */
  tls?: true;
}

/** GenServers. */
export const genServerScript: ElixirScript = { file: "bench.exs", firstCase: "mixed" };
/** GenStage; needs {@link genStageSource}. */
export const genStageScript: ElixirScript = { file: "gen_stage.exs", firstCase: "stage_demand_1000" };
/** Two BEAMs, as they are usually started. */
export const clusterScript: ElixirScript = { file: "cluster.exs", firstCase: "remote_call_4_64" };
/** Two BEAMs that talk over TLS. */
export const clusterTlsScript: ElixirScript = { ...clusterScript, tls: true };

/** Whether the source of Elixir's GenStage was given; if not, what is missing. */
export function genStageSource(): { missing?: string } {
  const path = process.env.GEN_STAGE_PATH;
  if (!path) return { missing: "give the root of a checkout of its source in GEN_STAGE_PATH" };
  if (existsSync(join(path, "lib", "gen_stage.ex"))) return {};
  return { missing: `GEN_STAGE_PATH is ${path}, and there is no lib/gen_stage.ex in it` };
}

/** The flags of a BEAM whose distribution is encrypted; what they name is there until this process ends. */
function tlsFlags(): string {
  const folder = mkdtempSync(join(tmpdir(), "libeam-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true }));
  const script = fileURLToPath(new URL("elixir/certificate.exs", sources));
  const { status, stderr } = spawnSync("elixir", [script, folder], { encoding: "utf8", env: environment("") });
  if (status !== 0) throw new ElixirError(`there is no certificate for TLS:\n${stderr}`);
  return `-proto_dist inet_tls -ssl_dist_optfile ${join(folder, "tls.conf")}`;
}

const configurations = [
  { label: "all schedulers", options: "" },
  { label: "1 scheduler", options: "+S 1:1" },
];

/** The Elixir side failed: a round lost work, or the process ended. */
export class ElixirError extends Error {
  readonly code = "ELIXIR_FAILED";
}

/** "Elixir 1.x (Erlang/OTP y)", or undefined if `elixir` is not on the PATH. */
export function elixirVersion(): string | undefined {
  const { status, stdout } = spawnSync("elixir", ["--version"], { encoding: "utf8", env: environment("") });
  if (status !== 0) return undefined;
  const otp = /Erlang\/OTP \d+/.exec(stdout)?.[0];
  const elixir = /Elixir [\d.]+\S*/.exec(stdout)?.[0];
  return elixir && otp ? `${elixir} (${otp}${stdout.includes("[jit") ? ", JIT" : ""})` : undefined;
}

function environment(options: string, portMapper?: number): NodeJS.ProcessEnv {
  const own = portMapper === undefined ? {} : { ERL_EPMD_PORT: String(portMapper) };
  return { ...process.env, ...own, LC_ALL: "C.UTF-8", ELIXIR_ERL_OPTIONS: options };
}

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

class ElixirPeer implements Peer {
  readonly label: string;
  /** The serving process; owned, ended by `close`. */
  readonly #child: ChildProcessWithoutNullStreams;
  /** Lines of its standard output; one per request. */
  readonly #lines: AsyncIterator<string>;
  /** What it wrote to standard error, shown when it fails. */
  #complaints = "";

  constructor({ file }: ElixirScript, label: string, options: string, portMapper: number) {
    this.label = label;
    const path = fileURLToPath(new URL(`elixir/${file}`, sources));
    this.#child = spawn("elixir", [path, "--serve"], { env: environment(options, portMapper) });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints += text;
    });
    // Writing to a process that is gone fails; the missing answer reports it, with what the process said.
    this.#child.stdin.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async round(name: string): Promise<number> {
    this.#child.stdin.write(`${name}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new ElixirError(`elixir ended during ${name} (${this.label}):\n${this.#complaints}`);
    const answer: { samples?: number[]; error?: string } = JSON.parse(line.value);
    const sample = answer.samples?.[0];
    if (sample === undefined) throw new ElixirError(`elixir answered ${name} with ${line.value}`);
    return sample;
  }

  async close(): Promise<void> {
    const ended =
      this.#child.exitCode === null ? new Promise((resolve) => this.#child.once("exit", resolve)) : undefined;
    this.#child.stdin.end();
    await ended;
  }
}

/** Starts both configurations; nothing is measured while they start. */
export async function startElixir(script: ElixirScript): Promise<{ peers: readonly Peer[]; close(): Promise<void> }> {
  const flags = script.tls ? tlsFlags() : "";
  const peers: ElixirPeer[] = [];
  for (const { label, options } of configurations) {
    peers.push(new ElixirPeer(script, label, `${options} ${flags}`.trim(), await freePort()));
  }
  // The first round compiles the script and makes the first process; it is thrown away.
  await Promise.all(peers.map((peer) => peer.round(script.firstCase)));
  return {
    peers,
    close: async () => {
      await Promise.all(peers.map((peer) => peer.close()));
    },
  };
}
