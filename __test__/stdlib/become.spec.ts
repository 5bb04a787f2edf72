/**
 * Changing handlers: become, unbecome, discardOld.
 */

import { describe, expect, it } from "vitest";
import { createActor, InvalidArgumentError, UnknownCallMethodError } from "../../lib/index.js";
import { leakFree, makeSystem } from "../support/system.js";
import { rejection, thrown, turn } from "../support/time.js";

/** An actor that becomes layers of itself; every layer tells its number. */
const Layers = createActor("Layers", (ctx, self) => {
  const seen: string[] = [];
  const layer = (n: number) => (next: typeof self) =>
    next
      .onCall("layer", () => n)
      .onCall(`only${n}`, () => n)
      .onCall("push", (discardOld?: boolean) =>
        ctx.become(layer(n + 1), discardOld === undefined ? {} : { discardOld }),
      )
      .onCall("pop", () => ctx.unbecome())
      .onCall("seen", () => seen)
      .onCast("note", (what: string) => void seen.push(`${n}:${what}`))
      .onInfo("down", () => void seen.push(`${n}:down`));
  layer(0)(self);
});

function spawnLayers() {
  const system = makeSystem();
  const ref: any = system.spawn(Layers);
  return { system, ref };
}

describe("become", () => {
  it("replaces call and cast handlers from the next message on", async () => {
    const { ref } = spawnLayers();
    expect(await ref.call("layer")).toBe(0);
    ref.cast("note", "a");
    const pushed = ref.call("push");
    ref.cast("note", "b");
    await pushed;
    expect([await ref.call("layer"), await ref.call("only1")]).toEqual([1, 1]);
    expect(await rejection(ref.call("only0"))).toBeInstanceOf(UnknownCallMethodError);
    expect(await ref.call("seen")).toEqual(["0:a", "1:b"]);
  });

  it("replaces info handlers", async () => {
    const { system, ref } = spawnLayers();
    const Mortal = createActor(() => {});
    const [first, second] = [system.spawn(Mortal), system.spawn(Mortal)];
    system.system.watch(ref, first);
    system.system.watch(ref, second);
    await system.stop(first);
    await ref.call("push");
    await system.stop(second);
    expect(await ref.call("seen")).toEqual(["0:down", "1:down"]);
  });

  it("stacks, and unbecome goes back one by one and stops at the first", async () => {
    const { system, ref } = spawnLayers();
    for (let n = 0; n < 3; n++) await ref.call("push");
    const layers = [await ref.call("layer")];
    for (let n = 0; n < 5; n++) {
      await ref.call("pop");
      layers.push(await ref.call("layer"));
    }
    expect(layers).toEqual([3, 2, 1, 0, 0, 0]);
    expect(await ref.call("only0")).toBe(0);
    await leakFree(system);
  });

  it("within a definition stacks on top of that, and goes with it when it throws", async () => {
    const Nested = createActor("Nested", (ctx, self) => {
      const layer = (name: string) => (next: typeof self) =>
        next.onCall("layer", () => name).onCall("pop", () => ctx.unbecome());
      return self
        .onCall("layer", () => "first")
        .onCall("become", (fails: boolean) =>
          ctx.become((next) => {
            layer("second")(next);
            ctx.become(layer("third"));
            if (fails) throw new Error("no layer");
          }),
        );
    });
    const ref: any = makeSystem().spawn(Nested);
    await rejection(ref.call("become", true));
    expect(await ref.call("layer")).toBe("first");
    await ref.call("become", false);
    const layers: string[] = [];
    for (let n = 0; n < 3; n++) {
      layers.push(await ref.call("layer"));
      await ref.call("pop").catch(() => {});
    }
    expect(layers).toEqual(["third", "second", "first"]);
    await ref.call("become", true).catch(() => {});
    await ref.call("become", false);
    expect(await ref.call("layer")).toBe("third");
  });

  it("with discardOld forgets the handlers that it replaces", async () => {
    const { ref } = spawnLayers();
    await ref.call("push");
    await ref.call("push", true);
    expect(await ref.call("layer")).toBe(2);
    await ref.call("pop");
    expect(await ref.call("layer")).toBe(0);
    await ref.call("push", true);
    await ref.call("pop");
    expect(await ref.call("layer")).toBe(1);
    await ref.call("push", false);
    await ref.call("pop");
    expect(await ref.call("layer")).toBe(1);
  });

  it("keeps the state of the closure, timers, children and the name", async () => {
    const system = makeSystem();
    const Child = createActor((_ctx, self) => self.onCall("ping", () => "pong"));
    const Keeper = createActor((ctx, self) => {
      let count = 0;
      const child = ctx.spawn(Child);
      self.sendAfter("tick", 1);
      return self
        .onCall("change", () =>
          ctx.become((next) =>
            next
              .onCall("facts", async () => [count, ctx.countChildren(), await child.call("ping"), ctx.self.id.name])
              .onCast("tick", () => {
                count += 10;
              }),
          ),
        )
        .onCall("facts", () => []);
    });
    const ref = system.spawn(Keeper, { name: "keeper" });
    await ref.call("change");
    let facts: unknown[] = await ref.call("facts");
    while (facts[0] === 0) {
      await turn();
      facts = await ref.call("facts");
    }
    expect(facts).toEqual([10, 1, "pong", "keeper"]);
  });

  it("is forgotten by a restart", async () => {
    const { ref } = spawnLayers();
    await ref.call("push");
    const Crash = createActor((ctx, self) =>
      self
        .onCall("change", () => ctx.become((next) => next.onCall("new", () => "new").onCast("crash", crash)))
        .onCall("old", () => "old"),
    );
    const crash = () => {
      throw new Error("crash");
    };
    const fragile: any = makeSystem().spawn(Crash);
    await fragile.call("change");
    expect(await fragile.call("new")).toBe("new");
    fragile.cast("crash");
    expect(await fragile.call("old")).toBe("old");
    expect(await rejection(fragile.call("new"))).toBeInstanceOf(UnknownCallMethodError);
  });

  it("whose definition throws changes nothing", async () => {
    const Careful = createActor((ctx, self) =>
      self
        .onCall("ping", () => "pong")
        .onCall("try", () => {
          const failure = new Error("half way");
          const error = thrown(() =>
            ctx.become((next) => {
              next.onCall("ping", () => "changed");
              throw failure;
            }),
          );
          ctx.unbecome();
          return error === failure;
        }),
    );
    const ref = makeSystem().spawn(Careful);
    expect(await ref.call("try")).toBe(true);
    expect(await ref.call("ping")).toBe("pong");
  });

  it("of something that is no function is refused", async () => {
    const Odd = createActor((ctx, self) =>
      self.onCall("try", (value: any) => thrown(() => ctx.become(value))).onCall("ping", () => "pong"),
    );
    const ref = makeSystem().spawn(Odd);
    for (const value of [undefined, null, {}, "name", 5]) {
      expect(await ref.call("try", value)).toBeInstanceOf(InvalidArgumentError);
    }
    expect(await ref.call("ping")).toBe("pong");
  });

  it("in the middle of an asynchronous handler leaves that handler alone", async () => {
    const Slow = createActor((ctx, self) =>
      self
        .onCall("change", async () => {
          await turn();
          ctx.become((next) => next.onCall("who", () => "second"));
          await turn();
          return "answer of the first";
        })
        .onCall("who", () => "first"),
    );
    const ref = makeSystem().spawn(Slow);
    const [changed, who] = [ref.call("change"), ref.call("who")];
    expect([await changed, await who]).toEqual(["answer of the first", "second"]);
  });

  it("in the factory stacks on what was registered before", async () => {
    const Early = createActor((ctx, self) => {
      self.onCall("who", () => "base").onCall("back", () => "not reached");
      ctx.become((next) => next.onCall("who", () => "top").onCall("back", () => ctx.unbecome()));
    });
    const ref: any = makeSystem().spawn(Early);
    expect(await ref.call("who")).toBe("top");
    await ref.call("back");
    expect(await ref.call("who")).toBe("base");
  });
});
