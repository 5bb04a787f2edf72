/**
 * Drift: the committed protocol.ts is what the addon's table says, and the addon has what its types promise.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import native from "../../index.js";
import { LibeamError } from "../../lib/errors.js";
import { assertSameProtocol } from "../../lib/kernel/native.js";
import { protocolSource } from "../../scripts/generate-protocol.mjs";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

describe("the protocol", () => {
  it("is written down as the addon has it", () => {
    expect(readFileSync(path("../../lib/kernel/protocol.ts"), "utf8")).toBe(protocolSource(native.protocolTable()));
  });

  it.each([
    ["another value", { QUANTUM: 17 }, "QUANTUM is 17 there and 16 here"],
    ["a number more", { OP_NEW: 99 }, "OP_NEW is 99 there and undefined here"],
    ["a number less", { OP_SPAWN: undefined }, "OP_SPAWN is undefined there and 1 here"],
  ])("refuses an addon with %s", (_what, change, told) => {
    const table = { ...native.protocolTable(), ...change } as Record<string, number>;
    expect(() => assertSameProtocol(table)).toThrow(told);
    expect(() => assertSameProtocol(table)).toThrow(LibeamError);
  });

  it("gives every number of a family only once", () => {
    const families = new Map<string, Set<number>>();
    for (const [name, value] of Object.entries(native.protocolTable())) {
      const family = /^(FLAG|SUBMIT|ENTRY|EVENT|CAUSE|OP|STATUS|DECISION|POLICY)_/.exec(name)?.[1];
      if (family === undefined || name.endsWith("_WORDS")) continue;
      const numbers = families.get(family) ?? new Set();
      expect(numbers.has(value), `${name} = ${value}`).toBe(false);
      families.set(family, numbers.add(value));
    }
    expect(families.size).toBe(9);
  });
});

const startedLink = () =>
  native.startLink({ nodeId: "alone", epoch: 1, cluster: "test", bind: "127.0.0.1:0" }, () => {});

describe("the addon", () => {
  it("exports exactly the functions of index.d.ts", () => {
    const declared = readFileSync(path("../../index.d.ts"), "utf8");
    const body = (name: string) => new RegExp(`interface ${name} \\{([^]*?)\\n\\}`).exec(declared)?.[1] ?? "";
    const methods = (name: string) =>
      [...body(name).matchAll(/^ {2}(?:readonly )?(\w+)[(:]/gm)].map(([, found]) => found);
    const isClass = (name: string) => /^[A-Z]/.test(name);
    const exported = Object.keys(native);
    const link = startedLink();
    const ownMembers: Record<string, string[]> = { NativeLink: Object.keys(link) };
    link.stop();
    expect(exported.filter((name) => !isClass(name)).sort()).toEqual(methods("NativeBinding").sort());
    for (const name of exported.filter(isClass)) {
      const { prototype } = (native as unknown as Record<string, { prototype: object }>)[name] as { prototype: object };
      const members = Object.getOwnPropertyNames(prototype).filter((member) => member !== "constructor");
      expect([...members, ...(ownMembers[name] ?? [])].sort(), name).toEqual(methods(name).sort());
    }
    const kernel = native.createKernel({}, () => {});
    expect(Object.keys(kernel).sort()).toEqual(methods("NativeKernel").sort());
    kernel.dispose();
  });

  it("has nothing and sends nothing over a link that was stopped", () => {
    const link = startedLink();
    link.stop();
    link.stop();
    expect(link.takeFrames(Buffer.alloc(64))).toBe(0);
    expect(link.sendFrame("somebody", Buffer.alloc(8), 8)).toBe(-2);
    expect(link.send("somebody", Buffer.alloc(8))).toBe(-2);
    expect(link.room("somebody")).toBe(-2);
    expect(link.idle()).toBe(2);
    expect(link.takeEvents()).toEqual([]);
  });

  it("takes nonsense for nothing where arguments are not checked", () => {
    const link = startedLink();
    const { takeFrames, sendFrame } = link as unknown as Record<"takeFrames" | "sendFrame", (...args: any[]) => number>;
    expect(sendFrame()).toBe(-2);
    expect(sendFrame("somebody", "no bytes", -1)).toBe(-2);
    expect(takeFrames("no buffer")).toBe(0);
    expect(takeFrames(Buffer.alloc(4))).toBe(4);
    link.stop();
  });

  it("does nothing after dispose, and dispose twice is dispose once", () => {
    const kernel = native.createKernel({}, () => {});
    kernel.dispose();
    kernel.dispose();
    kernel.enter();
    kernel.submit();
    kernel.next();
    kernel.control(1);
    expect(kernel.listing()).toHaveLength(0);
    expect(kernel.chunk(0)).toBeUndefined();
  });

  it("gives every kernel of the process its own number and its own memory", () => {
    const kernels = [1, 2, 3].map(() => native.createKernel({}, () => {}));
    expect(new Set(kernels.map((kernel) => kernel.id)).size).toBe(3);
    expect(new Set(kernels.map((kernel) => kernel.page.buffer)).size).toBe(3);
    for (const kernel of kernels) kernel.dispose();
  });
});
