/** Another module with an actor called `counter`. */

import { createActor } from "../../../lib/index.ts";

export const counter = createActor((_ctx, self) => self);
