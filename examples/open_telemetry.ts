/**
 * A bridge from telemetry to spans. `Tracer` has the shape of the one in @opentelemetry/api: pass `trace.getTracer(…)`
 * instead of the tracer below, and handlers appear as spans in whatever collects them.
 */

import { createActor, createSystem, loggerConfig, TelemetryEvents, telemetry } from "libeam";

interface Span {
  setAttribute(key: string, value: string | number): unknown;
  addEvent(name: string, attributes?: Record<string, string>): unknown;
  recordException(error: Error): void;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

interface Tracer {
  startSpan(name: string, options?: { attributes?: Record<string, string> }): Span;
}

const ERROR = 2;

/** Sends a span for every handled message to a tracer; returns what takes the bridge down again. */
function traceActors(tracer: Tracer): () => void {
  const { handleCall, handleCast } = TelemetryEvents.actor;
  const { crash, restart } = TelemetryEvents.supervisor;
  const ends = (end: string) => [handleCall, handleCast].map((prefix) => [...prefix, end]);
  // An actor handles one message at a time, so it has one open span at most.
  const open = new Map<string, Span>();

  const close = (actorId: string, durationMs: number): Span | undefined => {
    const span = open.get(actorId);
    open.delete(actorId);
    span?.setAttribute("libeam.duration_ms", durationMs);
    return span;
  };

  telemetry.attach("otel.start", ends("start"), (event, _measurements, { actor_id }) => {
    open.set(actor_id, tracer.startSpan(event.slice(1, -1).join("."), { attributes: { "libeam.actor_id": actor_id } }));
  });
  telemetry.attach("otel.stop", ends("stop"), (_event, { duration_ms }, { actor_id }) => {
    close(actor_id, duration_ms)?.end();
  });
  telemetry.attach("otel.exception", ends("exception"), (_event, { duration_ms }, { actor_id, error }) => {
    const span = close(actor_id, duration_ms);
    span?.recordException(error);
    span?.setStatus({ code: ERROR, message: String(error) });
    span?.end();
  });
  telemetry.attach("otel.supervisor", [crash, restart], (event, _measurements, { actor_id, strategy }) => {
    const span = tracer.startSpan(event.slice(1).join("."), { attributes: { "libeam.actor_id": actor_id } });
    span.addEvent("decision", { strategy });
    span.end();
  });

  return () => {
    for (const part of ["start", "stop", "exception", "supervisor"]) telemetry.detach(`otel.${part}`);
    for (const span of open.values()) span.end();
  };
}

/** Prints spans as they end. */
const printing: Tracer = {
  startSpan(name) {
    const notes: string[] = [];
    return {
      setAttribute: (key) => notes.push(key),
      addEvent: (event, facts) => notes.push(`${event} ${JSON.stringify(facts)}`),
      recordException: (error) => notes.push(`exception "${error.message}"`),
      setStatus: ({ code }) => notes.push(code === ERROR ? "status ERROR" : "status OK"),
      end: () => console.log(`span ${name.padEnd(20)} ${notes.join(", ")}`),
    };
  },
};

loggerConfig.configure({ level: "none" });
const detach = traceActors(printing);

const Till = createActor("Till", (_ctx, self) => {
  let total = 0;
  return self
    .onCast("pay", (amount: number) => {
      if (amount < 0) throw new RangeError("a negative payment");
      total += amount;
    })
    .onCall("total", async () => total);
});

const system = createSystem();
const till = system.spawn(Till);
till.cast("pay", 5);
till.cast("pay", -5);
console.log("total after the crash:", await till.call("total"));

await system.shutdown();
detach();
