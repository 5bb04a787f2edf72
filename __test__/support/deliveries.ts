/**
 * Ways in which a message gets from a sender to an actor. The semantics hold for all of them.
 *
 * A spec runs `describe.each(deliveries)` and opens one per test. Actors under test live on `host`; whoever sends uses
 * the refs that `spawn` gives, which are those of the sender's side.
 */

import type { InMemoryTransport, LocalConfig, System } from "../../lib/index.js";
import { makeSystem } from "./system.js";

/** Two ends of a delivery; for local ones both are the same system. */
export interface Ends {
  /** Where the actors under test live. */
  readonly host: System;
  /** Where the senders live. */
  readonly system: System;
  /** Spawns on the host and gives the ref with which the sender's side reaches the actor. */
  readonly spawn: System["spawn"];
}

/** A way of delivery. */
export interface Delivery {
  readonly name: string;
  /** Values arrive as the same objects, and a call to an idle actor may run at once. */
  readonly sameIsolate: boolean;
  /** Opens both ends; they are shut down after the test. */
  open(config?: LocalConfig): Ends;
}

function openLocal(config?: LocalConfig): Ends {
  const system = makeSystem(config);
  return { host: system, system, spawn: (definition, options) => system.spawn(definition, options) };
}

/** Two systems over a pair of in-memory transports: the semantics between nodes, without sockets. */
function openRemote(config: LocalConfig = {}): Ends {
  const [system, host] = [makeSystem({ ...config, nodeId: "sender" }), makeSystem({ ...config, nodeId: "host" })];
  const [out, back] = [system.transport as InMemoryTransport, host.transport as InMemoryTransport];
  out.setPeer("host", back);
  back.setPeer("sender", out);
  const spawn: System["spawn"] = (definition, options) => {
    return system.system.getRef(host.spawn(definition, options).id) as ReturnType<typeof spawn> as any;
  };
  return { host, system, spawn };
}

/** All deliveries. */
export const deliveries: readonly Delivery[] = [
  { name: "local", sameIsolate: true, open: openLocal },
  { name: "remote", sameIsolate: false, open: openRemote },
];
