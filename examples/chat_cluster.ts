/**
 * A chat over three nodes.
 *
 *   node --import tsx examples/chat_cluster.ts node1    in one terminal; it has the room
 *   node --import tsx examples/chat_cluster.ts node2    in another one, and node3 in a third: type what you want to say
 *   node --import tsx examples/chat_cluster.ts          all three in one process, for a short conversation
 *
 * The room has a name, under which every node finds it. It watches who is in it, so whoever leaves, or is on a node that
 * is lost, is out.
 */

import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import { type ActorRefFrom, createActor, createSystem, type DistributedSystem, loggerConfig } from "libeam";

const COOKIE = process.env.LIBEAM_COOKIE ?? "an example has no secrets";
const PORTS: Record<string, number> = { node1: 5_100, node2: 5_110, node3: 5_120 };
const GOSSIP_OF_NODE1 = "127.0.0.1:5102";
const ROOM = "lobby";

loggerConfig.configure({ level: "error" });

/** Tells what is on somebody's screen; for whoever waits for it. */
const screens = new EventEmitter();

const Person = createActor("Person", (ctx, self, nick: string) =>
  self
    .onCall("nick", () => nick)
    .onCast("hear", (line: string) => {
      console.log(`  [${nick} on ${ctx.self.id.systemId}] ${line}`);
      screens.emit(`${nick} ${line}`);
    }),
);
type PersonRef = ActorRefFrom<typeof Person>;

const Room = createActor("Room", (ctx, self) => {
  const people = new Map<string, { nick: string; person: PersonRef }>();
  const tellAll = (line: string) => {
    for (const { person } of people.values()) person.cast("hear", line);
  };
  return self
    .onCast("enter", (nick: string, person: PersonRef) => {
      people.set(person.id.id, { nick, person });
      ctx.watch(person);
      tellAll(`${nick} comes in`);
    })
    .onCast("say", (nick: string, text: string) => tellAll(`${nick}: ${text}`))
    .onInfo("down", ({ actorRef }) => {
      const gone = people.get(actorRef.id.id);
      people.delete(actorRef.id.id);
      if (gone !== undefined) tellAll(`${gone.nick} is gone`);
    });
});

function start(nodeId: string, port: number, seedNodes: string[]): Promise<DistributedSystem> {
  return createSystem({ type: "distributed", nodeId, port, seedNodes, cookie: COOKIE, bindAddress: "127.0.0.1" });
}

/** The room, as soon as this node has heard of it. */
async function roomFor(system: DistributedSystem): Promise<ActorRefFrom<typeof Room>> {
  for (;;) {
    const room = await system.getActorByName(ROOM);
    if (room !== null) return room as ActorRefFrom<typeof Room>;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Lets somebody in; gives what says something in the room. */
async function enter(system: DistributedSystem, nick: string): Promise<(text: string) => void> {
  const room = await roomFor(system);
  room.cast("enter", nick, system.spawn(Person, { args: [nick] }));
  return (text) => room.cast("say", nick, text);
}

/** One node of three, for somebody at the keyboard. */
async function serve(node: string): Promise<void> {
  const system = await start(node, PORTS[node] as number, node === "node1" ? [] : [GOSSIP_OF_NODE1]);
  if (node === "node1") system.spawn(Room, { name: ROOM });
  const say = await enter(system, process.env.USER ?? node);
  console.log("you are in the room; Ctrl-D leaves it");
  for await (const line of createInterface({ input: process.stdin })) say(line);
  await system.shutdown();
}

/** A short conversation. */
async function demonstrate(): Promise<void> {
  const node1 = await start("node1", 0, []);
  const seeds = [node1.cluster.getPeerState("node1")?.gossipAddress as string];
  const [node2, node3] = await Promise.all([start("node2", 0, seeds), start("node3", 0, seeds)]);
  await Promise.all([node1, node2, node3].map((node) => node.waitForCluster({ minMembers: 3 })));
  node1.spawn(Room, { name: ROOM });

  const present = new Set<string>();
  /** Does something and waits until everybody in the room has seen what follows. */
  const allSee = async <T>(line: string, act: () => T): Promise<Awaited<T>> => {
    const seen = Promise.all([...present].map((nick) => once(screens, `${nick} ${line}`)));
    const result = await act();
    await seen;
    return result;
  };
  const letIn = (system: DistributedSystem, nick: string) => {
    present.add(nick);
    return allSee(`${nick} comes in`, () => enter(system, nick));
  };
  const [ada, joe, mike] = [await letIn(node1, "ada"), await letIn(node2, "joe"), await letIn(node3, "mike")];
  await allSee("ada: hello, everybody", () => ada("hello, everybody"));
  await allSee("mike: hello from node3", () => mike("hello from node3"));
  console.log("node3 leaves the cluster");
  present.delete("mike");
  await allSee("mike is gone", () => node3.shutdown());
  await allSee("joe: where is mike?", () => joe("where is mike?"));
  await Promise.all([node2.shutdown(), node1.shutdown()]);
}

const [node] = process.argv.slice(2);
if (node === undefined) await demonstrate();
else if (node in PORTS) await serve(node);
else throw new Error(`there is no ${node}; choose one of ${Object.keys(PORTS).join(", ")}`);
