/**
 * A chat room: actors that know each other by their refs. The room watches its members, so somebody who just
 * disappears has left the room as well.
 */

import { type ActorRefFrom, createActor, createSystem } from "libeam";

const Member = createActor("Member", (_ctx, self, nick: string) =>
  self
    .onCall("nick", () => nick)
    .onCast("hear", (from: string, text: string) => console.log(`  [${nick}'s screen] ${from}: ${text}`)),
);

const Room = createActor("Room", (ctx, self, title: string) => {
  const members = new Map<string, ActorRefFrom<typeof Member>>();

  const tellAll = (from: string, text: string) => {
    for (const [nick, member] of members) if (nick !== from) member.cast("hear", from, text);
  };

  return self
    .onCall("join", (nick: string, member: ActorRefFrom<typeof Member>) => {
      tellAll(title, `${nick} comes in`);
      members.set(nick, member);
      ctx.watch(member);
      return [...members.keys()];
    })
    .onCall("say", tellAll)
    .onInfo("down", ({ actorRef }) => {
      for (const [nick, member] of members) {
        if (member.id.id !== actorRef.id.id) continue;
        members.delete(nick);
        tellAll(title, `${nick} is gone`);
      }
    })
    .onCall("members", () => [...members.keys()]);
});

const system = createSystem();
const room = system.spawn(Room, { args: ["lobby"] });

const people = ["ada", "joe", "mike"].map((nick) => ({ nick, ref: system.spawn(Member, { args: [nick] }) }));
for (const { nick, ref } of people) console.log(`${nick} joins:`, await room.call("join", nick, ref));

await room.call("say", "ada", "hello, everybody");

console.log("mike's connection breaks");
await system.stop(people[2].ref);

await room.call("say", "joe", "where is mike?");
console.log("in the room:", await room.call("members"));

await system.shutdown();
