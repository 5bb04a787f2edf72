/**
 * What a system does to its process: sentences P1 to P5 of docs/SEMANTICS.md.
 */

import { describe, expect, it } from "vitest";
import { createActor } from "../../lib/index.js";
import { Worker } from "../support/actors.js";
import { makeProbe } from "../support/probe.js";
import { runScript } from "../support/run_script.js";
import { logged, makeSystem } from "../support/system.js";

/** What Node itself may keep: the pipes of the script's output. */
const OURS = /^(?!PipeWrap|TTYWrap|FSReqPromise)/;

describe("a process", () => {
  it.each([
    ["nothing", []],
    ["timer", ["timer"]],
    ["call", ["TimeoutError"]],
    ["backoff", [1]],
  ])("P1: ends by itself when %s was left and is over", async (left, printed) => {
    const { code, lines, errors } = await runScript("idle_exit", [left]);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(lines.slice(0, -1)).toEqual(printed);
    expect(lines.at(-1).resources.filter((name: string) => OURS.test(name))).toEqual([]);
  });

  it("P1: stays up while an interval ticks", async () => {
    let ticks = 0;
    const { code, lines } = await runScript("idle_exit", ["interval"], () => ++ticks === 5);
    expect(code).toBeNull();
    expect(lines.slice(0, 5)).toEqual(Array(5).fill("interval"));
  });

  it("P2: shuts down: refuses, handles what is queued, stops all, and ends", async () => {
    const { code, lines, errors } = await runScript("shutdown_exit");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    const refused = "SystemShuttingDownError";
    const handled = Array.from({ length: 100 }, (_, n) => n);
    expect(lines[0]).toMatchObject({ spawned: refused, called: refused, handled });
    // Two of the crashed one's incarnations never were; busy, its child, hanging and the crashed one terminate once.
    expect(lines[0].terminated).toBe(4);
    expect(["ActorNotFoundError", refused]).toContain(lines[0].hung);
    expect(lines[1].resources.filter((name: string) => OURS.test(name))).toEqual([]);
  });

  it("P3: is not reached by anything that user code throws inside actors", async () => {
    const { code, lines, errors } = await runScript("stray_errors");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(lines).toEqual([[]]);
  });

  it("P4: keeps two systems apart, even with the same id", async () => {
    const [a, b] = [makeSystem({ nodeId: "same" }), makeSystem({ nodeId: "same" })];
    const life = makeProbe<string>();
    const inA = a.spawn(Worker, { name: "name", args: ["a", life.push] });
    expect(await b.getActorByName("name")).toBeNull();
    const inB = b.spawn(Worker, { name: "name", args: ["b", life.push] });
    a.joinGroup("group", inA);
    expect(b.getGroup("group")).toEqual([]);
    b.joinGroup("group", inA);
    expect(b.getGroup("group")).toEqual([]);
    expect(b.system.getActor(inA.id.id)).toBeUndefined();
    expect(b.system.getLocalActorIds()).toEqual([inB.id.id]);
    await a.shutdown();
    expect(await b.getActorByName("name")).toBe(inB);
    expect(await inB.call("id")).toBe(inB.id.id);
    expect(life.events).toEqual(["init:a", "init:b", "terminate:a"]);
    await expect(inA.call("id")).rejects.toMatchObject({ code: expect.stringMatching(/SHUTTING|NOT_FOUND/) });
  });

  it("P5: hears what a shutdown gave up", async () => {
    const system = makeSystem();
    const Stubborn = createActor("Stubborn", (_ctx, self) => self.onCast("block", () => new Promise<void>(() => {})));
    const stubborn = system.spawn(Stubborn, { name: "s" });
    for (let i = 0; i < 3; i++) stubborn.cast("block");
    const { id } = stubborn.id;
    await system.shutdown({ timeout: 30 });
    const message = "Shutdown had 30 ms and waits no longer: 2 messages were not handled, 1 actor is killed";
    const context = { actors: [`Stubborn "s" ${id}, in a handler`] };
    expect(logged()).toMatchObject([{ level: "warn", message, context }]);
  });
});
