/**
 * Measuring: rounds in, samples out.
 *
 * A case does a fixed number of operations per round and reports how many were *completed*: answered, or seen by the
 * receiver. One round gives one sample, elapsed time / operations. A round that completed less than it was asked for
 * throws WorkLostError, so a figure exists for finished work or not at all.
 *
 * Cases that are compared are interleaved: round 1 of each, round 2 of each, and so on. A machine that slows down for a
 * while slows all of them. A peer (another process doing the same work, see elixir.ts) takes its turns in the same
 * rounds. Within a round each process has its turns together: one that is not recorded first, since a processor that has
 * waited for another process needs some 10 ms to be as fast as before, then its cases in an order that is another one in
 * every round, so that none always runs behind the same other one.
 *
 * Before each round the young generation is collected, so that a case pays for its own garbage and not for its
 * predecessor's. Results are handed to `sink`, which keeps the optimiser from removing the work.
 */

/** A round ended with fewer completed operations than it was given. */
export class WorkLostError extends Error {
  readonly code = "WORK_LOST";

  constructor(name: string, completed: number, expected: number) {
    super(`${name}: ${completed} of ${expected} operations were completed; the rest was lost, and nothing is reported`);
  }
}

/** What a round returns if it keeps its own clock, to leave preparation out of the figure. */
export interface Timed {
  completed: number;
  elapsedNs: number;
}

export type Round = (ops: number) => number | Timed | Promise<number | Timed>;

export interface MeasureOptions {
  /** Unrecorded rounds before the first sample. */
  warmup: number;
  /** Recorded rounds, one sample each. */
  rounds: number;
  /** Operations of one round. */
  opsPerRound: number;
}

/** One line of a comparison. */
export interface Case {
  /** Stable name for targets. */
  key: string;
  /** What the reader of the table sees. */
  name: string;
  opsPerRound: number;
  run: Round;
  /** At most this many rounds, for cases whose round takes seconds. */
  roundsMax?: number;
  /** Cases of elixir/bench.exs doing the same work; the fastest of them is compared. */
  elixir?: readonly string[];
}

/** Another process that can be asked for one round of a named case. */
export interface Peer {
  /** How the process is set up, for the table. */
  readonly label: string;
  round(name: string): Promise<number>;
}

export interface Stats {
  median: number;
  p10: number;
  p90: number;
  min: number;
  max: number;
  /** (p90 - p10) / median: how far to trust the median. */
  spread: number;
  /** In the order of the rounds. */
  samples: readonly number[];
}

/** Samples of one case, and of the peers that did the same. */
export interface Measured {
  samples: number[];
  peers: { label: string; samples: number[] }[];
}

let sunk = 0;

/** Uses a value, so that the work that made it cannot be optimised away. */
export function sink(value: number): void {
  sunk = (sunk + value) | 0;
}

/** What went into `sink` so far; reading it is what makes the writes observable. */
export function sinkValue(): number {
  return sunk;
}

/** The value below which `fraction` of the samples lie; nearest rank. */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(fraction * sorted.length) - 1))] ?? Number.NaN;
}

export function summarize(samples: readonly number[]): Stats {
  const median = quantile(samples, 0.5);
  const p10 = quantile(samples, 0.1);
  const p90 = quantile(samples, 0.9);
  return {
    median,
    p10,
    p90,
    min: Math.min(...samples),
    max: Math.max(...samples),
    spread: (p90 - p10) / median,
    samples,
  };
}

/**
 * How many times more one took than the other: the median over the rounds. Both were measured in one rotation, so what
 * slows the machine down for a while is in both samples of a round and not in their quotient.
 */
export function ratio(above: Stats, below: Stats): number {
  const rounds = Math.min(above.samples.length, below.samples.length);
  return quantile(
    above.samples.slice(0, rounds).map((sample, round) => sample / below.samples[round]!),
    0.5,
  );
}

/** Runs one round and returns nanoseconds per operation. */
async function sample(name: string, opsPerRound: number, run: Round): Promise<number> {
  collectYoung();
  const started = process.hrtime.bigint();
  const result = await run(opsPerRound);
  const elapsed = Number(process.hrtime.bigint() - started);
  const completed = typeof result === "number" ? result : result.completed;
  if (completed !== opsPerRound) throw new WorkLostError(name, completed, opsPerRound);
  return (typeof result === "number" ? elapsed : result.elapsedNs) / opsPerRound;
}

function collectYoung(): void {
  const collect = globalThis.gc as ((options?: { type: "minor" }) => void) | undefined;
  collect?.({ type: "minor" });
}

/** Measures one case alone; returns nanoseconds per operation, one sample per round. */
export async function measure(name: string, options: MeasureOptions, run: Round): Promise<number[]> {
  const samples: number[] = [];
  for (let round = -options.warmup; round < options.rounds; round++) {
    const value = await sample(name, options.opsPerRound, run);
    if (round >= 0) samples.push(value);
  }
  return samples;
}

/** One participant of the rotation: a case of this process, or a case of a peer. */
interface Turn {
  roundsMax: number;
  samples: number[];
  take(): Promise<number>;
}

/** Measures cases against each other, taking turns; the result has the order of `cases`. */
export async function interleave(
  cases: readonly Case[],
  options: { warmup: number; rounds: number; peers: readonly Peer[] },
): Promise<Measured[]> {
  const own = cases.map(
    (one): Turn => ({
      roundsMax: one.roundsMax ?? Number.POSITIVE_INFINITY,
      samples: [],
      take: () => sample(one.name, one.opsPerRound, one.run),
    }),
  );
  // A peer's case is measured once even if several of our cases are compared with it.
  const ofPeers = options.peers.map((peer) => {
    const turns = new Map<string, Turn>();
    for (const { elixir = [], roundsMax = Number.POSITIVE_INFINITY } of cases) {
      for (const name of elixir) {
        if (!turns.has(name)) turns.set(name, { roundsMax, samples: [], take: () => peer.round(name) });
      }
    }
    return { label: peer.label, turns };
  });
  await rotate([own, ...ofPeers.map(({ turns }) => [...turns.values()])], options);
  return cases.map(({ elixir = [] }, index) => ({
    samples: own[index]!.samples,
    peers: ofPeers.flatMap(({ label, turns }) => elixir.map((name) => ({ label, samples: turns.get(name)!.samples }))),
  }));
}

/** Takes the turns of all processes, round by round; `processes` has the turns of each. */
async function rotate(
  processes: readonly (readonly Turn[])[],
  options: { warmup: number; rounds: number },
): Promise<void> {
  for (let round = -options.warmup; round < options.rounds; round++) {
    for (const turns of inOrder(processes, round)) {
      // A long round warms up by itself: one is enough, and one less is taken.
      const due = inOrder(turns, round).filter(({ roundsMax }) =>
        roundsMax === Number.POSITIVE_INFINITY ? true : round >= -1 && round < roundsMax,
      );
      await due.findLast(({ roundsMax }) => roundsMax === Number.POSITIVE_INFINITY)?.take();
      for (const turn of due) {
        const value = await turn.take();
        if (round >= 0) turn.samples.push(value);
      }
    }
  }
}

/** `items` in the order of this round: shuffled (Fisher and Yates), in the same way in every run. */
function inOrder<T>(items: readonly T[], round: number): T[] {
  const shuffled = [...items];
  const random = numbers(round);
  for (let i = shuffled.length - 1; i > 0; i--) {
    const other = random() % (i + 1);
    [shuffled[i], shuffled[other]] = [shuffled[other]!, shuffled[i]!];
  }
  return shuffled;
}

/** Numbers that look random and follow from `seed`: xorshift32 (Marsaglia, 2003). */
function numbers(seed: number): () => number {
  let state = Math.imul(seed + 0x1000, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
