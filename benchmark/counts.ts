/**
 * The operation counts of one round, read from counts.json, which the scripts of elixir/ read too: both sides do the same
 * work because there is no second copy of these numbers.
 */
import { readFileSync } from "node:fs";
import { sources } from "./places.js";

export interface Counts {
  /** Sequential calls of one round. */
  calls: number;
  /** Calls of one round with `window` of them outstanding. */
  in_flight: number;
  /** Outstanding calls kept open in the contention cases. */
  window: number;
  /** Calls of one round through A → B → C. */
  chain_calls: number;
  /** Batches of one round of steady casting. */
  cast_batches: number;
  /** Casts of one batch; a call closes the batch. */
  cast_batch_size: number;
  /** Casts of one round sent without a pause. */
  cast_burst: number;
  /** Receivers of the round-robin cast cases. */
  cast_actors: number;
  /** Cast-then-call pairs of one mixed round; two operations each. */
  mixed_pairs: number;
  /** Actors started and stopped, one after the other, in one round. */
  spawn_stop: number;
  /** Actors started and kept alive in one round. */
  spawn_alive: number;
  /** Events of one round through GenStage. */
  stage_events: number;
  /** Events of one round through Node's streams. */
  stage_stream_events: number;
  /** Jobs of one round, each with a worker of its own. */
  stage_jobs: number;
  /** Calls of one round to another node, one after the other. */
  remote_sequential: number;
  /** Calls of one round to another node with several in flight. */
  remote_calls: number;
  /** Casts of one round to another node. */
  remote_casts: number;
}

export const counts: Counts = JSON.parse(readFileSync(new URL("counts.json", sources), "utf8"));
