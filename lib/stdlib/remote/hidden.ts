/**
 * Which actors are the runtime's own: users do not see them, and do not hear of their crashes.
 */

import type { ActorCell, Definition } from "../../kernel/cell.js";
import { definitionOfClass } from "../actor.js";
import { GuestKeeper } from "./guests.js";
import { LinkEnd, Observer, Shadow, ShadowKeeper } from "./shadows.js";
import { standInOf } from "./stand_ins.js";

const HIDDEN: ReadonlySet<Definition> = new Set(
  [Shadow, LinkEnd, Observer, ShadowKeeper, GuestKeeper].map(definitionOfClass),
);

/** Whether an actor is the runtime's own. */
export function isHidden(cell: ActorCell): boolean {
  return HIDDEN.has(cell.definition) || standInOf(cell) !== undefined;
}
