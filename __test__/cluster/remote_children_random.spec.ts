/**
 * Remote children under random lives: crashes, stops, kills, nodes that are lost and come back, on one side or on both.
 * Afterwards every child has one parent that has it, every parent only children that answer, and nothing is left in the end.
 */

import { type ActorRef, type ChildSupervisionOptions, createActor } from "libeam";
import { expect, it, vi } from "vitest";
import { Dice } from "../support/dice.js";
import { type HandmadeNode, makeNodes, nodesEmpty } from "../support/handmade_nodes.js";
import { printedSeed } from "../support/seed.js";
import { turns } from "../support/time.js";

const Child = createActor("Child", (ctx, self) =>
  self
    .onCall("where", () => ctx.system.id)
    .onCast("work", () => {})
    .onCast("crash", () => {
      throw new Error("a child broke");
    })
    .onCast("leave", () => ctx.exit())
    .onTerminate(() => turns(1)),
);

const Parent = createActor("Parent", (ctx, self, supervision: Partial<ChildSupervisionOptions>) =>
  self
    .childSupervision(supervision)
    .onCall("spawn", (node: string) => void ctx.spawn(Child, { strategy: node === "any" ? "random" : { node } }))
    .onCall("children", () => ctx.getChildren())
    .onCast("crash", () => {
      throw new Error("a parent broke");
    }),
);

const STRATEGIES = ["one-for-one", "one-for-all", "rest-for-one"] as const;
const IDS = ["a", "b", "c"];

function separate(one: HandmadeNode, other: HandmadeNode, dice: Dice): void {
  if (one === other) return;
  const sides = dice.pick([1, 2, 3]);
  if (sides !== 2) one.cluster.leave(other.id);
  if (sides !== 1) other.cluster.leave(one.id);
}

function reunite(nodes: HandmadeNode[]): void {
  for (const node of nodes) {
    for (const { id } of nodes) if (!node.cluster.members.includes(id)) node.cluster.join(id);
  }
}

async function act(nodes: HandmadeNode[], parents: any[], dice: Dice): Promise<void> {
  const parent = dice.pick(parents);
  const children: any[] = await parent.call("children");
  const child = children.length === 0 ? undefined : dice.pick(children);
  switch (dice.below(11)) {
    case 0:
    case 1:
    case 2:
      if (children.length < 6) await parent.call("spawn", dice.pick([...IDS, "any"])).catch(() => {});
      return;
    case 3:
    case 4:
      child?.cast("crash");
      return;
    case 5:
      child?.cast(dice.pick(["leave", "work"]));
      return;
    case 6:
      if (child !== undefined) void nodes[0]?.system.stop(child);
      return;
    case 7:
      if (dice.chance(0.3)) parent.cast("crash");
      else if (child !== undefined) dice.pick(nodes).system.sendExit(null, child, dice.pick(["kill", "a reason"]));
      return;
    case 8:
      separate(dice.pick(nodes), dice.pick(nodes), dice);
      return;
    case 9:
      reunite(nodes);
      return;
    case 10:
      if (child !== undefined)
        void dice
          .pick(nodes)
          .system.restart(child)
          .catch(() => null); // Refused elsewhere.
  }
}

const first = printedSeed();

it.each(Array.from({ length: 12 }, (_, n) => first + n))("LIBEAM_SEED=%i", async (seed) => {
  const dice = new Dice(seed);
  const supervision = { maxRestarts: 100_000, periodMs: 1_000 };
  const nodes = await makeNodes(IDS, { actors: [Child], supervision });
  const parents = nodes.map(({ system }) => {
    return system.spawn(Parent, { args: [{ ...supervision, strategy: dice.pick(STRATEGIES) }] });
  });
  for (let step = 0; step < 150; step++) {
    await act(nodes, parents, dice);
    if (dice.chance(0.4)) await turns(dice.below(4));
  }
  reunite(nodes);
  await vi.waitFor(async () => {
    const children = (await Promise.all(parents.map((parent) => parent.call("children")))).flat() as any[];
    const where = await Promise.all(children.map((child: ActorRef) => child.call({ method: "where", args: [] })));
    expect(where).toEqual(children.map(({ id }) => id.systemId));
    const living = nodes.flatMap(({ system }) => system.getActors().filter(({ className }) => className === "Child"));
    expect(living).toHaveLength(children.length);
  }, 8_000);
  await Promise.all(nodes.map(({ system }, at) => system.stop(parents[at] as ActorRef)));
  await nodesEmpty(nodes);
});
