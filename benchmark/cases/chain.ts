/** A call that is answered by a call: A asks B, B asks C, C counts. Each handler returns the promise of the next. */

import { createSystem } from "libeam";
import { counts } from "../counts.js";
import { sink } from "../harness.js";
import { compare, type Suite } from "../suite.js";
import { Counter, Forwarder } from "./actors.js";

export const chain: Suite = {
  name: "chain",
  title: "Call chain",
  async run(context) {
    const system = createSystem();
    const c = system.spawn(Counter, { args: [0] });
    const b = system.spawn(Forwarder, { args: [c] });
    const a = system.spawn(Forwarder, { args: [b] });
    const through = {
      key: "call_chain",
      name: "call chain A → B → C",
      opsPerRound: counts.chain_calls,
      elixir: ["call_chain"],
      run: async (ops: number) => {
        for (let i = 0; i < ops; i++) sink(await a.call("increment"));
        return c.call("take");
      },
    };
    const rows = await compare("chain", [through], context);
    await system.shutdown();
    return rows;
  },
};
