/**
 * A process in which every piece of user code inside actors throws or rejects. Prints what reached the process.
 */

import {
  Actor,
  createActor,
  createSystem,
  loggerConfig,
  type System,
  TelemetryEvents,
  telemetry,
} from "../../../lib/index.js";

loggerConfig.handler = () => {
  throw new Error("log handler");
};
const stray: string[] = [];
process.on("uncaughtException", (error) => stray.push(`uncaught: ${error.message}`));
process.on("unhandledRejection", (error: any) => stray.push(`unhandled: ${error?.message}`));
telemetry.attach("broken", [TelemetryEvents.actor.spawn, TelemetryEvents.supervisor.crash], () => {
  throw new Error("telemetry handler");
});

const ways: [string, (text: string) => unknown][] = [
  [
    "sync",
    (text) => {
      throw new Error(text);
    },
  ],
  [
    "async",
    async (text) => {
      await null;
      throw new Error(text);
    },
  ],
  [
    "late",
    async (text) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      throw new Error(text);
    },
  ],
  ["undefined", () => Promise.reject()],
  [
    "then",
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: a broken thenable is the purpose
      then: () => {
        throw new Error("a thenable");
      },
    }),
  ],
];

function breakEverything(system: System, fail: (text: string) => unknown): void {
  const Broken = createActor("Broken", (ctx, self, where: string) => {
    if (where === "init") return fail("init") as any;
    if (where === "timer") self.sendAfter("fail", 1);
    if (where === "idle") self.setIdleTimeout(2);
    self
      .childSupervision(where === "escalate" ? { strategy: "Escalate" } : {})
      .onCall("fail", () => fail("call"))
      .onCast("fail", () => fail("cast"))
      .onCast("child", (inner: string) => ctx.spawn(Broken, { args: [inner] }).cast("fail"))
      .onInfo("timeout", () => fail("idle"))
      .onInfo("down", () => fail("down"))
      .onContinue(() => fail("continue"))
      .preRestart(() => fail("preRestart"))
      .postRestart(() => fail("postRestart"))
      .onTerminate(() => fail("terminate"));
    if (where === "watch") ctx.watch(ctx.spawn(createActor((inner) => inner.exit())));
    return where === "continue" ? ({ continue: 1 } as any) : self;
  });
  class BrokenClass extends Actor {
    override childSupervision(): any {
      throw new Error("childSupervision");
    }
    override init(): void {
      this.spawn(Broken, { args: ["none"] }).cast("fail");
    }
    override handleCall(): any {
      return fail("handleCall");
    }
  }
  for (const where of ["init", "timer", "idle", "watch", "continue", "escalate", "none"]) {
    try {
      const ref = system.spawn(Broken, { args: [where] });
      ref.cast("fail");
      if (where === "escalate") ref.cast("child", "none");
      void ref.call("fail");
      void ref.call("missing");
      void ref.call({ method: "fail", args: [] }, 1);
      system.joinGroup("broken", ref);
    } catch {
      // A synchronous init throws here, as it should.
    }
  }
  void system.spawn(BrokenClass).call("x");
}

const systems = ways.map(([, fail]) => {
  const system = createSystem({ supervision: { maxRestarts: 2 }, limits: { stopTimeoutMs: 50 } });
  breakEverything(system, fail);
  return system;
});
await new Promise((resolve) => setTimeout(resolve, 200));
for (const system of systems) system.broadcast("broken", { method: "fail", args: [] });
await new Promise((resolve) => setTimeout(resolve, 50));
await Promise.all(systems.map((system) => system.shutdown({ timeout: 300 })));
await new Promise((resolve) => setTimeout(resolve, 20));
console.log(JSON.stringify(stray));
