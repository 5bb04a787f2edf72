/**
 * Names and groups: sentences N1 and N2 of docs/SEMANTICS.md.
 */

import { NameAlreadyRegisteredError } from "libeam";
import { describe, expect, it } from "vitest";
import { Worker } from "../support/actors.js";
import { makeSystem } from "../support/system.js";
import { gate, thrown } from "../support/time.js";

const quiet = (): void => {};

describe("a name", () => {
  it("N1: belongs to its actor from spawn until it is gone", async () => {
    const system = makeSystem();
    const ref = system.spawn(Worker, { name: "only", args: ["a", quiet] });
    const second = (): unknown => system.spawn(Worker, { name: "only", args: ["b", quiet] });
    expect(thrown(second)).toBeInstanceOf(NameAlreadyRegisteredError);
    expect((await system.getActorByName("only"))?.id.id).toBe(ref.id.id);

    const door = gate();
    const busy = ref.call("wait", door.promise);
    const stopped = system.stop(ref);
    expect(thrown(second)).toBeInstanceOf(NameAlreadyRegisteredError);
    door.open();
    await Promise.all([busy, stopped]);
    expect(await system.getActorByName("only")).toBeNull();
    expect(second()).toBeDefined();
  });

  it("N1: stays with it over a restart, also while that waits", async () => {
    const system = makeSystem({ supervision: { backoff: { initialMs: 30, jitter: 0 } } });
    const ref = system.spawn(Worker, { name: "only", args: ["a", quiet] });
    ref.cast("crash");
    const answer = ref.call("id");
    // Backing off: nobody answers, and still nobody else gets the name.
    expect(thrown(() => system.spawn(Worker, { name: "only", args: ["b", quiet] }))).toBeInstanceOf(
      NameAlreadyRegisteredError,
    );
    expect(await system.getActorByName("only")).not.toBeNull();
    const id = await answer;
    expect(id).not.toBe(ref.id.id);
    expect((await system.getActorByName("only"))?.id.id).toBe(id);
    expect(thrown(() => system.spawn(Worker, { name: "only", args: ["b", quiet] })).code).toBe(
      "NAME_ALREADY_REGISTERED",
    );
  });
});

describe("a group", () => {
  it("N2: lists its members in the order in which they joined, each once", async () => {
    const system = makeSystem();
    const [a, b, c] = ["a", "b", "c"].map((label) => system.spawn(Worker, { args: [label, quiet] }));
    for (const ref of [c, a, c, b, a]) system.joinGroup("group", ref);
    expect(system.getGroup("group")).toEqual([c, a, b]);
    system.leaveGroup("group", c);
    system.joinGroup("group", c);
    expect(system.getGroup("group")).toEqual([a, b, c]);
    a.cast("crash");
    await a.call("id");
    expect(system.getGroup("group").map(({ id }) => id.id)).toEqual([await a.call("id"), b.id.id, c.id.id]);
  });
});
