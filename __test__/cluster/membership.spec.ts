/**
 * Membership between real processes: they find each other, miss each other, and are not fooled by a busy event loop.
 */

import { describe, expect, it } from "vitest";
import { Member, startMembers } from "../support/members.js";

/** Eight processes take their time to start on a busy machine. */
const HUNG_AFTER_MS = 90_000;

describe("a cluster", { timeout: HUNG_AFTER_MS }, () => {
  it.each([3, 5, 8])("of %i nodes forms from one seed", async (count) => {
    const ids = Array.from({ length: count }, (_, i) => `n${i}`);
    const members = await startMembers(ids);
    for (const member of members) {
      expect(ids.filter((id) => id !== member.config.id).map((id) => member.times("join", id))).toEqual(
        Array(count - 1).fill(1),
      );
    }
  });

  it.each([3, 5, 8])("of %i nodes forms when the seed starts last", async (count) => {
    const probe = new Member({ id: "seed", seeds: [] });
    const address = await probe.address();
    probe.signal("SIGKILL");
    await probe.exit;
    const others = Array.from({ length: count - 1 }, (_, i) => `n${i}`);
    const early = others.map((id) => new Member({ id, seeds: [address] }));
    await Promise.all(early.map((member) => member.address()));
    const seed = new Member({ id: "seed", seeds: [], port: Number(address.split(":")[1]) });
    await Promise.all([seed, ...early].map((member) => member.sees(["seed", ...others])));
  });

  it("tells roles and metadata, and later changes of them", async () => {
    const [a, b] = (await startMembers(["a", "b"], { roles: ["worker"] })) as [Member, Member];
    b.order({ verb: "publish", key: "zone", value: "north" });
    expect((await a.told("update", "b")).peer).toMatchObject({
      id: "b",
      address: "tcp://b:1",
      roles: ["worker"],
      metadata: { zone: "north" },
    });
  });
});

describe("the end of a node", () => {
  it("by SIGKILL is told once by every survivor, and it may come back as a new life", async () => {
    const ids = ["a", "b", "c", "d", "e"];
    const members = await startMembers(ids);
    const seeds = [await (members[0] as Member).address()];
    const victim = members.pop() as Member;
    victim.signal("SIGKILL");
    await Promise.all(members.map((member) => member.told("leave", "e")));
    await Promise.all(members.map((member) => member.sees(["a", "b", "c", "d"])));
    expect(members.map((member) => member.times("leave", "e"))).toEqual([1, 1, 1, 1]);
    const again = new Member({ id: "e", seeds });
    await Promise.all([again, ...members].map((member) => member.sees(ids)));
    await Promise.all(members.map((member) => member.reports.find(() => member.times("join", "e") === 2)));
    expect(members.map((member) => member.times("leave", "e"))).toEqual([1, 1, 1, 1]);
  });

  it("by a goodbye is told once, and lets its process exit", async () => {
    const members = await startMembers(["a", "b", "c"]);
    const leaver = members.pop() as Member;
    leaver.order({ verb: "leave" });
    await Promise.all(members.map((member) => member.told("leave", "c")));
    expect(await leaver.exit).toBe(0);
    expect(members.map((member) => member.times("leave", "c"))).toEqual([1, 1]);
  });
});

describe("a node that does not answer for a while", () => {
  it("because its event loop is blocked stays a member", async () => {
    const members = await startMembers(["a", "b", "c"]);
    const [a, b, c] = members as [Member, Member, Member];
    c.order({ verb: "block", ms: 6_000 }); // Six times the shortest suspicion.
    await c.told("unblocked", "c");
    for (const member of members) member.order({ verb: "members" });
    for (const member of members) {
      expect((await member.told("answer", member.config.id)).members).toEqual(["a", "b", "c"]);
    }
    expect([a.times("leave", "c"), b.times("leave", "c"), c.times("leave", "a")]).toEqual([0, 0, 0]);
  });

  it("because it is stopped is missed, and is a member again when it goes on", async () => {
    const members = await startMembers(["a", "b", "c"]);
    const [a, b, c] = members as [Member, Member, Member];
    c.signal("SIGSTOP");
    await Promise.all([a.told("leave", "c"), b.told("leave", "c")]);
    c.signal("SIGCONT");
    await Promise.all([a, b].map((member) => member.reports.find(() => member.times("join", "c") === 2)));
    c.order({ verb: "members" });
    expect((await c.told("answer", "c")).members).toContain("c");
  });
});

describe("two processes with one id", () => {
  it("cannot both stay: the older one is told and ends its membership", async () => {
    const [a, b] = (await startMembers(["a", "b"])) as [Member, Member];
    const newer = new Member({ id: "b", seeds: [await a.address()] });
    await b.told("superseded", "b");
    await newer.sees(["a", "b"]);
  });
});
