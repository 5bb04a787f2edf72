/**
 * Actors that nodes know because they import the same modules.
 */

import { fileURLToPath, pathToFileURL } from "node:url";
import { Actor, type DistributedSystem, InvalidOptionError, LibeamError } from "libeam";
import { afterEach, describe, expect, it } from "vitest";
import * as counters from "../support/actors_of_modules/counters.js";
import { makeNodes } from "../support/handmade_nodes.js";
import { gossipOf, startNode } from "../support/loopback_nodes.js";
import { rejection } from "../support/time.js";

const url = (name: string) => new URL(`../support/actors_of_modules/${name}`, import.meta.url);
const nodes: DistributedSystem[] = [];

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.shutdown({ timeout: 200, drainMailboxes: false })));
});

describe("actors of modules", () => {
  it("are known by the names of their exports, by their own, and a default export by that of the file", async () => {
    const [{ system }] = (await makeNodes(["one"])) as [any];
    await system.registerActorModules([url("counters.ts")]);
    expect(system.getActorClass("counter")).toBe(counters.counter);
    expect(system.getActorClass("named")).toBe(counters.named);
    expect(system.getActorClass("A name of its own")).toBe(counters.named);
    expect(system.getActorClass("Echo").prototype).toBeInstanceOf(Actor);
    expect(system.getActorClass("counters")).toBe(counters.default);
    for (const stranger of ["notAnActor", "default", "FunctionalActor"]) {
      expect(system.getActorClass(stranger)).toBeUndefined();
    }
  });

  it("are spawned on other nodes that list the same module", async () => {
    const [one, two, three] = (await makeNodes(["one", "two", "three"])).map(({ system }) => system) as [any, any, any];
    for (const system of [one, two]) await system.registerActorModules([url("counters.ts").href]);
    const counter = one.spawn(counters.counter, { strategy: { node: "two" }, args: [40] });
    expect(await counter.call("add", 2)).toBe(42);
    expect(await one.spawn(counters.default, { strategy: { node: "two" } }).call("ping")).toBe(
      "from the default export",
    );
    expect(await one.spawn(counters.Echo, { strategy: { node: "two" } }).call("hi")).toBe("hi");
    const lost = one.spawn(counters.counter, { strategy: { node: "three" }, args: [0] });
    expect((await rejection(lost.call("add", 1))).code).toBe("ACTOR_CLASS_NOT_REGISTERED");
    expect(three.getActors()).toEqual([]);
  });

  it("are loaded by nodes of a cluster before they can be spawned there", async () => {
    const more = { actors: [url("counters.ts")] };
    const one = await startNode("one", [], more);
    await startNode("two", [gossipOf(one)], more);
    await one.waitForCluster({ nodes: ["two"] });
    const counter = one.spawn(counters.counter, { strategy: { node: "two" }, args: [1] });
    expect([await counter.call("where"), await counter.call("add", 1)]).toEqual(["two", 2]);
  });

  it("must be a list of files", async () => {
    const [{ system }] = (await makeNodes(["one"])) as [any];
    const path = fileURLToPath(url("counters.ts"));
    for (const bad of [
      "counters.ts",
      path,
      "https://example.org/actors.js",
      "data:text/javascript,1",
      "node:fs",
      7,
      null,
    ]) {
      expect(await rejection(system.registerActorModules([bad])), String(bad)).toBeInstanceOf(InvalidOptionError);
    }
    expect(await rejection(system.registerActorModules(pathToFileURL(path)))).toBeInstanceOf(InvalidOptionError);
  });

  it("are refused as a whole if a module is missing, has none, or two have one name", async () => {
    const [{ system }] = (await makeNodes(["one"])) as [any];
    const good = url("counters.ts");
    for (const [modules, message] of [
      [[good, url("missing.ts")], "cannot be imported"],
      [[good, new URL("../support/time.ts", import.meta.url)], "exports no actor"],
      [[good, url("rivals.ts")], 'exports "counter", and so does another module'],
    ] as const) {
      const error = await rejection(system.registerActorModules(modules));
      expect(error).toBeInstanceOf(LibeamError);
      expect([error.code, error.message]).toEqual(["ACTOR_MODULE", expect.stringContaining(message)]);
    }
    expect(system.getActorClass("counter")).toBeUndefined();
  });
});
