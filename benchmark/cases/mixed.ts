/** Half casts, half calls, alternating to one actor: every call finds a cast before it in the mailbox. */

import { createSystem } from "libeam";
import { counts } from "../counts.js";
import { sink } from "../harness.js";
import { compare, type Suite } from "../suite.js";
import { Counter } from "./actors.js";

export const mixed: Suite = {
  name: "mixed",
  title: "Calls and casts, alternating",
  async run(context) {
    const system = createSystem();
    const counter = system.spawn(Counter, { args: [0] });
    const alternating = {
      key: "mixed",
      name: "cast, then call (per operation)",
      opsPerRound: 2 * counts.mixed_pairs,
      elixir: ["mixed"],
      run: async (ops: number) => {
        for (let i = 0; i < ops; i += 2) {
          counter.cast("increment");
          sink(await counter.call("increment"));
        }
        return counter.call("take");
      },
    };
    const rows = await compare("mixed", [alternating], context);
    await system.shutdown();
    return rows;
  },
};
