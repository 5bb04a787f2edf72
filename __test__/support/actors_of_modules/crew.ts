/** Actors for specs of children in other processes. */

import { type ChildSupervisionOptions, createActor, type SpawnOptions } from "../../../lib/index.ts";

export const Hand = createActor((ctx, self, name: string) => {
  let count = 0;
  return self
    .onCall("add", (n: number) => {
      count += n;
      return count;
    })
    .onCall("about", () => ({ name, node: ctx.system.id, parent: ctx.parent?.id.systemId }))
    .onCast("leave", (reason: unknown) => ctx.exit(reason))
    .onCast("crash", () => {
      throw new RangeError(`${name} fell`);
    });
});

export const Boss = createActor((ctx, self, supervision: Partial<ChildSupervisionOptions> = {}) =>
  self
    .childSupervision(supervision)
    .onCall("hire", (name: string, options: SpawnOptions) => ctx.spawn(Hand, { ...options, args: [name] }))
    .onCall("crew", () => ctx.getChildren()),
);
