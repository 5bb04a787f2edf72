/**
 * An actor on each node of a TestCluster that says what its node sees: members, names, whether refs work, who is stopped,
 * and what it has watched that ended.
 */

import { type ActorDefinition, type ActorRef, createActor, type DistributedCluster } from "../../../lib/index.ts";

/** What became of a call: `ok:<node that answered>` or the code of its error. */
export type Outcome = string;

/** Answers with its node, and remembers a note. */
export const Named: ActorDefinition<[note?: string | undefined]> = createActor((ctx, self, note = "") =>
  self
    .onCall("where", () => ctx.self.id.systemId)
    .onCall("note", () => note)
    .onCall("stuck", () => {
      ctx.system.spawn(Named, { name: "stuck" }); // The name tells the others that the call is under way.
      return new Promise<void>(() => {});
    }),
);

async function outcome(ref: any): Promise<Outcome> {
  try {
    return `ok:${await ref.call("where")}`;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** See the module's header. */
export const Witness = createActor((ctx, self) => {
  const cluster = ctx.system.cluster as DistributedCluster;
  const held = new Map<string, ActorRef>();
  /** Claimed names, and `watched <ref>`, whose actors have ended, with the reasons. */
  const ended = new Map<string, string>();
  const claimed = new Map<string, string>();
  /** Nodes that were given up here, in order. */
  const lost: string[] = [];
  cluster.on("member_leave", (id: string) => lost.push(id));
  self.onInfo("down", ({ actorRef, reason }) => {
    const name = claimed.get(actorRef.id.id) as string;
    ended.set(name, ended.has(name) ? `${ended.get(name)}, ${reason.type}` : reason.type);
  });

  const sees = (ids: string[]) => cluster.getMembers().sort().join() === [...ids].sort().join();

  return self
    .onCall("sees", async (ids: string[]) => {
      while (!sees(ids)) {
        await new Promise<void>((resolve) => {
          const told = () => {
            cluster.removeListener("member_join", told);
            cluster.removeListener("member_leave", told);
            resolve();
          };
          cluster.on("member_join", told);
          cluster.on("member_leave", told);
        });
      }
    })
    .onCall("claim", (names: string[], note = "") => {
      let taken = 0;
      for (const name of names) {
        try {
          const ref = ctx.system.spawn(Named, { name, args: [note] });
          claimed.set(ref.id.id, name);
          ended.delete(name);
          ctx.watch(ref);
          taken++;
        } catch (error) {
          if ((error as { code?: string }).code !== "NAME_ALREADY_REGISTERED") throw error;
        }
      }
      return taken;
    })
    .onCall("ended", () => Object.fromEntries(ended))
    .onCall("lost", () => lost)
    .onCall("who", async (names: string[]) => {
      const found: Record<string, string | null> = {};
      for (const name of names) found[name] = (await ctx.system.registry.lookup(name))?.nodeId ?? null;
      return found;
    })
    .onCall("hold", async (name: string, as = name) => {
      const ref = await ctx.system.getActorByName(name);
      if (ref === null) return false;
      held.set(as, ref);
      return true;
    })
    .onCall("watchHeld", (as: string) => {
      const ref = held.get(as) as ActorRef;
      claimed.set(ref.id.id, `watched ${as}`);
      ctx.watch(ref);
    })
    .onCall("tryHeld", async () => {
      const outcomes: Record<string, Outcome> = {};
      for (const [as, ref] of held) outcomes[as] = await outcome(ref);
      return outcomes;
    })
    .onCall("stuckAt", async (as: string) => {
      try {
        return await (held.get(as) as any).call("stuck", { timeout: Number.POSITIVE_INFINITY });
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });
});
