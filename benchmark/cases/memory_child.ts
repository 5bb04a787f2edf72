/**
 * A process that fills itself with idle actors, or with what their user would hold without actors, and says how much
 * memory that took. Forked by memory.ts with `actors | control` and a count; sends one MemoryReport and ends.
 *
 * The control makes the same closures over the same state, so that the difference of two runs is what an actor adds:
 * its slot, its ref, its handler table, its mailbox. Arrays that hold refs and closures are made before the first
 * look and count for neither. So does V8's young generation: a workspace of a fixed size at most, whatever it works for,
 * which is empty after a collection, and of which one process has more in hand than the other by chance.
 */
import { setTimeout as pause } from "node:timers/promises";
import { getHeapSpaceStatistics } from "node:v8";
import { createActor, createSystem } from "libeam";

export interface MemoryReport {
  /** Growth of the resident set without V8's young generation, in bytes, garbage collected before and after. */
  residentBytes: number;
  /** The same with it. */
  residentAllBytes: number;
  /** Growth of what V8 accounts for: heap and external memory, in bytes. */
  heapBytes: number;
  /** Actors that answered one call each with their own state. 0 in the control. */
  answered: number;
  /** Nanoseconds per such call. */
  callNs: number;
}

const collections = 4;

/** Collects until nothing more is given back, as far as V8 lets go of pages. */
async function settle(): Promise<void> {
  for (let i = 0; i < collections; i++) {
    globalThis.gc?.();
    await pause(25);
  }
}

interface Usage {
  resident: number;
  young: number;
  heap: number;
}

async function usage(): Promise<Usage> {
  await settle();
  const { rss, heapUsed, external } = process.memoryUsage();
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  return { resident: rss, young: young?.physical_space_size ?? 0, heap: heapUsed + external };
}

/** Actors that come and go before the measurement. */
const WARM_UP = 5_000;

const Idle = createActor((_ctx, self, initial: number) => {
  let count = initial;
  return self
    .onCall("get", () => count)
    .onCast("add", (n: number) => {
      count += n;
    });
});

async function withActors(count: number): Promise<MemoryReport> {
  const system = createSystem();
  const spawn = (initial: number) => system.spawn(Idle, { args: [initial] });
  await spawn(0).call("get");
  // What a process pays once, compiled code for instance, is no actor's share.
  const early = Array.from({ length: WARM_UP }, (_, i) => spawn(i));
  await early[WARM_UP - 1]!.call("get");
  await Promise.all(early.map((ref) => system.stop(ref)));
  early.length = 0;
  const refs = new Array<ReturnType<typeof spawn>>(count);
  const before = await usage();
  for (let i = 0; i < count; i++) refs[i] = spawn(i);
  // Actors whose init is deferred have run it when the last one answers; only then are they idle.
  await refs[count - 1]!.call("get");
  const after = await usage();
  let answered = 0;
  const started = process.hrtime.bigint();
  for (let i = 0; i < count; i++) if ((await refs[i]!.call("get")) === i) answered++;
  const callNs = Number(process.hrtime.bigint() - started) / count;
  return { ...growth(before, after), answered, callNs };
}

async function withoutActors(count: number): Promise<MemoryReport> {
  const gets = new Array<() => number>(count);
  const adds = new Array<(n: number) => void>(count);
  const fill = (index: number) => {
    let state = index;
    gets[index] = () => state;
    adds[index] = (n: number) => {
      state += n;
    };
  };
  for (let i = 0; i < WARM_UP; i++) fill(i % count);
  const before = await usage();
  for (let i = 0; i < count; i++) fill(i);
  const after = await usage();
  adds[0]!(gets[count - 1]!());
  return { ...growth(before, after), answered: 0, callNs: 0 };
}

function growth(before: Usage, after: Usage): Omit<MemoryReport, "answered" | "callNs"> {
  const residentAllBytes = after.resident - before.resident;
  return {
    residentAllBytes,
    residentBytes: residentAllBytes - (after.young - before.young),
    heapBytes: after.heap - before.heap,
  };
}

const [kind, count] = process.argv.slice(2);
const report = kind === "actors" ? await withActors(Number(count)) : await withoutActors(Number(count));
process.send?.(report, () => process.exit(0));
