/** Actors for specs of modules: known by their exports, on every node that lists this file. */

import { Actor, createActor } from "../../../lib/index.ts";

export const counter = createActor((ctx, self, start: number) => {
  let count = start;
  return self
    .onCall("add", (n: number) => {
      count += n;
      return count;
    })
    .onCall("where", () => ctx.system.id);
});

export const named = createActor("A name of its own", (_ctx, self) => self.onCall("ping", () => "pong"));

export class Echo extends Actor {
  override handleCall(message: unknown) {
    return message;
  }
}

export default createActor((_ctx, self) => self.onCall("ping", () => "from the default export"));

export const notAnActor = 7;
