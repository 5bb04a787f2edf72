/**
 * Memory of idle actors: resident bytes each, with 100,000 and 1,000,000 alive, each in a process of its own.
 *
 * A control process creates what the user's own code would hold anyway (closures and their state); its growth is
 * subtracted. Afterwards every actor must answer one call, so none was counted that could not be used. Resident
 * memory is what the operating system sees and includes V8's slack, but not its young generation, which is a fixed cost
 * of a process (see memory_child.ts; a row of its own has it included); the heap row shows what V8 says is in use, without
 * the Rust side.
 */
import { counts } from "../counts.js";
import { genServerScript } from "../elixir.js";
import { type Stats, summarize, WorkLostError } from "../harness.js";
import { reportOf } from "../own_process.js";
import { fastest, type Row, type Suite, type SuiteContext } from "../suite.js";
import type { MemoryReport } from "./memory_child.js";

const child = new URL("memory_child.js", import.meta.url);

function inOwnProcess(kind: "actors" | "control", count: number): Promise<MemoryReport> {
  return reportOf(child, kind, String(count));
}

interface Footprint {
  resident: number[];
  residentAll: number[];
  heap: number[];
  call: number[];
}

async function footprint(count: number, rounds: number): Promise<Footprint> {
  const result: Footprint = { resident: [], residentAll: [], heap: [], call: [] };
  for (let round = 0; round < rounds; round++) {
    const control = await inOwnProcess("control", count);
    const actors = await inOwnProcess("actors", count);
    if (actors.answered !== count) throw new WorkLostError("one call to each idle actor", actors.answered, count);
    result.resident.push((actors.residentBytes - control.residentBytes) / count);
    result.residentAll.push((actors.residentAllBytes - control.residentAllBytes) / count);
    result.heap.push((actors.heapBytes - control.heapBytes) / count);
    result.call.push(actors.callNs);
  }
  return result;
}

/** Bytes per GenServer, asked of every Elixir configuration; the smaller counts. */
async function elixirBytes(context: SuiteContext, rounds: number): Promise<Row["elixir"]> {
  const peers = await context.peers(genServerScript);
  const measured = peers.map(({ label }) => ({ label, samples: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, peer] of peers.entries()) measured[index]!.samples.push(await peer.round("memory_per_process"));
  }
  return fastest(measured);
}

function rowsOf(count: number, print: Footprint): Row[] {
  const many = count.toLocaleString("en");
  const row = (key: string, name: string, unit: Row["unit"], samples: number[]): Row => {
    const stats: Stats = summarize(samples);
    return { suite: "memory", key: `${key}_${count}`, name, unit, stats };
  };
  return [
    row("memory_resident", `resident bytes per idle actor, ${many} alive`, "B", print.resident),
    row("memory_resident_all", `the same with V8's young generation, ${many} alive`, "B", print.residentAll),
    row("memory_heap", `V8 bytes per idle actor, ${many} alive`, "B", print.heap),
    row("memory_call", `first call to each of ${many} idle actors`, "ns", print.call),
  ];
}

export const memory: Suite = {
  name: "memory",
  title: "Memory of idle actors",
  async run(context) {
    const rounds = context.quick ? 1 : 5;
    const rows = rowsOf(counts.spawn_alive, await footprint(counts.spawn_alive, rounds));
    const elixir = await elixirBytes(context, rounds);
    if (elixir) rows[0] = { ...rows[0]!, elixir };
    const million = 1_000_000;
    rows.push(...rowsOf(million, await footprint(million, context.quick ? 1 : 3)));
    return rows;
  },
};
