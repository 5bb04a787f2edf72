/**
 * Who works in the cluster: counters, the collector to whom they bring what they have counted, and an operator per node
 * that does to it what the demo wants to happen.
 */

import { type ActorRefFrom, createActor, type System } from "libeam";
import { add, type Batch, countWords, type Totals } from "../word_count/text.ts";

/** Keeps what was counted: once per batch, however often it is brought. */
export const Collector = createActor("Collector", (_ctx, self) => {
  const kept = new Set<number>();
  const totals: Totals = new Map();
  let twice = 0;
  return self
    .onCall("keep", (id: number, counted: Totals) => {
      if (kept.has(id)) {
        twice++;
        return;
      }
      kept.add(id);
      for (const [word, count] of counted) add(totals, word, count);
    })
    .onCall("report", () => ({ batches: kept.size, totals, twice }));
});

/** Counts batches and brings the totals to the collector, wherever that is, before it answers. */
export const Counter = createActor("Counter", (_ctx, self, collector: ActorRefFrom<typeof Collector>) =>
  self.onCall("count", async ({ id, lines }: Batch) => {
    const totals: Totals = new Map();
    countWords(totals, lines);
    await collector.call("keep", id, totals);
  }),
);

/** A change of the cookie; each step is done on all nodes before the next one. */
export type RotationStep = "install" | "use" | "remove";

/** The definition of a node's operator. */
export function makeOperator({ nodeId, keyring }: System) {
  return createActor("Operator", (_ctx, self) =>
    self
      .onCall("block", (ms: number) => {
        const end = performance.now() + ms;
        while (performance.now() < end); // Nothing else happens in this process's event loop.
        return nodeId;
      })
      .onCall("rotate", async (step: RotationStep, cookie: string) => {
        if (step === "install") keyring?.install(cookie);
        if (step === "use") await keyring?.use();
        if (step === "remove") keyring?.remove();
        return keyring?.list().length;
      }),
  );
}
