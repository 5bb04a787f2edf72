/**
 * Continue: `spawn` returns quickly, the slow part of the start comes right after it, and messages are served meanwhile.
 */

import { Actor, createSystem, type InitContinue } from "libeam";

type Question = { type: "price"; of: string } | { type: "warm" };

class PriceList extends Actor {
  private readonly prices = new Map<string, number>();
  private warm = false;

  /** The quick part: an empty cache is good enough to answer. */
  override init(source: string): InitContinue {
    console.log("init: nothing loaded yet");
    return { continue: { source } };
  }

  /** The slow part. It runs before the first message, up to its first await. */
  override async handleContinue({ source }: { source: string }): Promise<void> {
    console.log(`continue: loading from ${source}`);
    for (const [article, price] of await load(source)) this.prices.set(article, price);
    this.warm = true;
    console.log("continue: loaded");
  }

  override handleCall(question: Question): unknown {
    return question.type === "warm" ? this.warm : (this.prices.get(question.of) ?? "ask again later");
  }
}

/** Stands for a slow file or service. */
async function load(_source: string): Promise<[string, number][]> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return [
    ["tea", 3],
    ["coffee", 4],
  ];
}

const system = createSystem();
const prices = system.spawn(PriceList, { args: ["prices.csv"] });
console.log("spawn has returned");

console.log("tea:", await prices.call({ type: "price", of: "tea" }));
while (!(await prices.call({ type: "warm" }))) await new Promise((resolve) => setTimeout(resolve, 5));
console.log("tea:", await prices.call({ type: "price", of: "tea" }));

await system.shutdown();
