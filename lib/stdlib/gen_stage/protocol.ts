/**
 * What stages say to each other: demand goes up, batches of events come down (the protocol of Elixir's GenStage).
 *
 * # Parties
 * A *producer* has an {@link Outlet}: its consumers, their demand, the dispatcher and the buffer. A *consumer* has an
 * {@link Inlet}: its subscriptions and what has arrived and was not handed over yet. A producer-consumer has both. The
 * pair (producer, tag) names a subscription; the tag is made by the consumer.
 *
 * # To the producer
 * - `subscribe` (call): registers a consumer. MUST come before everything else with its tag. Refused by throwing.
 * - `ask`: so many more events may be sent. What is asked for and not sent is *pending*; it MUST NOT exceed maxDemand,
 *   and what would is ignored.
 * - `cancel`: no more events. What was sent and not handed over is taken back.
 * - `mode`, `emit`: from the owner of the producer.
 *
 * # To the consumer
 * - `subscribed` (call): the producer knows the tag. The first `ask` follows one timer later, so that consumers that
 *   subscribe one after another are all there before the first event (broadcast).
 * - `events`: a {@link Batch}; at most as many events as were asked for. It MUST be taken from `at` on.
 * - `ended`: the producer is exhausted and has sent everything. It comes after the last batch.
 *
 * # Life and death
 * Each side watches the other. A DOWN of the producer ends the subscription behind the batches that arrived before; a
 * DOWN of the consumer is a `cancel`. Outlet and inlet belong to the logical actor and outlive a supervised restart, as
 * its mailbox does: demand, buffers and subscriptions go on, and what is lost is the chunk whose handler crashed.
 *
 * # Handing over
 * A batch counts as handed over up to `at`, which the consumer moves *before* it runs the handler. So every event is
 * handed over at most once, whoever dies when; what was not handed over when a consumer ends goes back to the
 * dispatcher. Sender and receiver share the batch if both are of one node; from a consumer of another node nothing comes
 * back, since nobody here knows how far it was.
 *
 * # Between nodes
 * What a stage says to one of another node goes by a {@link Line} (`said`), which repeats what the transport has not
 * taken or has lost: demand and events come once and in order until one of the two ends. A producer that is done, or has
 * failed behind its events, ends when all have heard it. A DOWN may mean there that the other stage could not be watched.
 * Who gets it says `ended` or `cancel`, and who knows nothing of a subscription answers so: it ends on both sides.
 *
 * # Deliberately absent
 * Acknowledgements of handled events (delivery between stages is at most once), and events without demand.
 */

import type { ActorRef } from "../../kernel/actor_ref.js";
import type { TerminationReason, WatchRef } from "../../kernel/info.js";
import type { Saying } from "./line.js";
import type { DemandMode, Terms } from "./options.js";

/** Events on their way from one producer to one consumer. */
export class Batch {
  readonly kind = "events";
  /** Index of the first event that the consumer has not handed over. */
  at = 0;
  /** The producer took back what was not handed over. */
  revoked = false;

  constructor(
    readonly tag: string,
    /** Shared with other consumers of a broadcast: nobody changes it. */
    readonly events: readonly any[],
  ) {}
}

/** Why a subscription ended: its producer is exhausted, or the consumer cancelled, or how the producer ended. */
export type SubscriptionEnd = { type: "done" } | { type: "cancelled" } | TerminationReason;

/** A subscription has ended; stands behind its last batch. */
export interface Ended {
  kind: "ended";
  tag: string;
  reason: SubscriptionEnd;
}

/** Calls that a stage serves. */
export type StageCall =
  | { kind: "subscribe"; tag: string; consumer: ActorRef; terms: Terms }
  | { kind: "subscribed"; tag: string; producer: ActorRef; terms: Terms }
  | Saying
  | { kind: "stats" };

/** Casts to a stage: to its outlet, to its inlet, and to both. */
export type StageCast =
  | { kind: "ask"; tag: string; count: number }
  | { kind: "cancel"; tag: string }
  | { kind: "mode"; mode: DemandMode }
  | { kind: "emit"; events: readonly any[] }
  | Batch
  | Ended
  | { kind: "start"; tag: string }
  | { kind: "unwatch"; watchRef: WatchRef }
  | { kind: "work" };

/** What a producer answers to `subscribe`; anything else did not understand the question. */
export const SUBSCRIBED = "libeam:subscribed";

/** Whether an end is none that somebody must be told of (`:normal`, `:shutdown` and the like in OTP). */
export function isOrderly(reason: SubscriptionEnd): boolean {
  if (reason.type === "exit") return reason.reason === "normal" || reason.reason === "shutdown";
  return reason.type === "done" || reason.type === "cancelled" || reason.type === "normal";
}
