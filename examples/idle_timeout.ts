/**
 * Idle timeout: a session that nobody talks to any more ends by itself.
 */

import { createActor, createSystem } from "libeam";

const Session = createActor("Session", (ctx, self, user: string) => {
  let requests = 0;
  return self
    .setIdleTimeout(1_000)
    .onCall("request", (path: string) => {
      requests++;
      return `${user} gets ${path}`;
    })
    .onInfo("timeout", ({ idleMs }) => {
      console.log(`${user} was silent for ${idleMs >= 1_000 ? "a second or more" : `only ${idleMs} ms`}`);
      ctx.exit();
    })
    .onTerminate(() => console.log(`session of ${user} closed after ${requests} requests`));
});

const system = createSystem();
const session = system.spawn(Session, { args: ["ada"] });

// Requests in time keep the session alive, however long it takes altogether.
for (const path of ["/", "/cart", "/checkout"]) {
  console.log(await session.call("request", path));
  await new Promise((resolve) => setTimeout(resolve, 400));
}

// From here on nobody asks for anything; the process ends when the session has.
