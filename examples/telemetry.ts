/**
 * Telemetry: what the runtime does, as events. While nobody listens, they cost nothing.
 */

import { createActor, createSystem, loggerConfig, type Measurements, TelemetryEvents, telemetry } from "libeam";

loggerConfig.configure({ level: "none" });

/** What a metrics endpoint would serve. */
const metrics = { calls: 0, failures: 0, slowestMs: 0, crashes: 0, restarts: 0, deadLetters: 0 };
const { actor, supervisor } = TelemetryEvents;

const handled = ({ duration_ms }: Measurements) => {
  metrics.calls++;
  metrics.slowestMs = Math.max(metrics.slowestMs, duration_ms);
};
telemetry.attach("calls", [[...actor.handleCall, "stop"]], (_event, measurements) => handled(measurements));
telemetry.attach("failed-calls", [[...actor.handleCall, "exception"]], (_event, measurements) => {
  handled(measurements);
  metrics.failures++;
});
telemetry.attach("life", [supervisor.crash, supervisor.restart, actor.deadLetter], (event, _measurements, facts) => {
  console.log(`  ${event.join(".")}`, facts.error ?? facts.reason ?? `attempt ${facts.attempt}`);
  if (event === supervisor.crash) metrics.crashes++;
  if (event === supervisor.restart) metrics.restarts++;
  if (event === actor.deadLetter) metrics.deadLetters++;
});

const Shop = createActor("Shop", (_ctx, self) =>
  self
    .onCall("buy", async (amount: number) => {
      if (amount > 3) throw new Error("not that many");
      await new Promise((resolve) => setTimeout(resolve, amount));
      return amount;
    })
    .onCast("fire", () => {
      throw new Error("the shop is on fire");
    }),
);

const system = createSystem();
const shop = system.spawn(Shop);

for (const amount of [1, 2, 3, 4]) await shop.call("buy", amount).catch(() => {});
shop.cast("fire");
await shop.call("buy", 1);
await system.stop(shop);
shop.cast("fire"); // Nobody is there to hear it.

console.log({ ...metrics, slowestMs: metrics.slowestMs > 2 ? "as expected" : metrics.slowestMs });
telemetry.reset();

// A program's own work can be observed the same way.
telemetry.attach("own", [["shop", "inventory", "stop"]], (event) => console.log(`  ${event.join(".")}`));
console.log(
  "counted:",
  telemetry.span(["shop", "inventory"], { shelf: 7 }, () => 42),
);

await system.shutdown();
