/**
 * Five processes that race for a thousand names: one winner per name, everywhere; the losers are told; the names of a node
 * that is killed are free; and a node that joins late knows them all.
 */

import "../support/compiled_workers.js";

import { beforeEach, expect, it, vi } from "vitest";
import { createSystem, type DistributedCluster, loggerConfig } from "../../lib/index.js";
import { Witnesses } from "../support/witnesses.js";

const HUNG_AFTER_MS = 180_000;
const PATIENCE_MS = 60_000;
const COOKIE = "a cookie for the races of many names";
const NAMES = Array.from({ length: 1_000 }, (_, at) => `name-${at}`);

beforeEach(() => loggerConfig.configure({ level: "none" }));

it(
  "five nodes and a thousand names",
  async () => {
    const witnesses = await Witnesses.start(5, { cookie: COOKIE });
    const { ids, cluster } = witnesses;
    // Everybody begins with other names, so that nobody is always first.
    const orders = ids.map((_, at) => [...NAMES.slice(at * 200), ...NAMES.slice(0, at * 200)]);
    const taken = await Promise.all(ids.map((id, at) => witnesses.ask(id, "claim", [orders[at]])));
    expect(taken.reduce((sum, count) => sum + count)).toBeGreaterThan(NAMES.length);

    const told = async () => Object.entries(await witnesses.askAll(ids, "ended")) as [string, object][];
    const owners = await witnesses.agree(ids, NAMES, (who) => NAMES.every((name) => who[name] !== null));
    // Of all actors that were made for a name, exactly one is left: the owner's.
    await vi.waitFor(async () => {
      const lost = await told();
      for (const [at, id] of ids.entries()) {
        const kept = NAMES.filter((name) => owners[name] === id).length;
        expect(Object.keys(lost[at][1]).length, `${id} has lost`).toBe(taken[at] - kept);
        for (const name of Object.keys(lost[at][1])) expect(owners[name], `${id} has lost ${name}`).not.toBe(id);
      }
    }, PATIENCE_MS);

    const seed = (cluster.system.cluster as DistributedCluster).getPeerState(cluster.controllerId)?.gossipAddress;
    const late = await createSystem({
      type: "distributed",
      nodeId: "late",
      cookie: COOKIE,
      port: 0,
      bindAddress: "127.0.0.1",
      seedNodes: [seed as string],
      gossip: "fast",
      ready: { nodes: ids },
    });
    try {
      const known = async () => {
        const found = await Promise.all(NAMES.map((name) => late.registry.lookup(name)));
        return Object.fromEntries(found.map((location, at) => [NAMES[at], location?.nodeId ?? null]));
      };
      await vi.waitFor(async () => expect(await known()).toEqual(owners), PATIENCE_MS);
    } finally {
      await late.shutdown({ timeout: 0 });
    }

    const wins = (id: string) => NAMES.filter((name) => owners[name] === id).length;
    const victim = ids.slice(1).reduce((most, id) => (wins(id) > wins(most) ? id : most));
    await witnesses.ask(victim, "claim", [["its own"]]);
    const free = ["its own", ...NAMES.filter((name) => owners[name] === victim)];
    await witnesses.agree(ids, free, (who) => free.every((name) => who[name] === victim));
    cluster.node(victim).kill();
    const survivors = ids.filter((id) => id !== victim);
    await witnesses.see(survivors);
    await witnesses.agree(survivors, free, (who) => free.every((name) => who[name] === null));
    const heir = survivors.at(-1) as string;
    expect(await witnesses.ask(heir, "claim", [free])).toBe(free.length);
    const heirs = Object.fromEntries(NAMES.map((name) => [name, owners[name] === victim ? heir : owners[name]]));
    await witnesses.agree(survivors, NAMES, (who) => NAMES.every((name) => who[name] === heirs[name]));
  },
  HUNG_AFTER_MS,
);
