/**
 * GenStage: a producer that could be endless, a step in between, and a consumer that takes its time. The consumer asks,
 * and nobody makes more than was asked for.
 */

import { setTimeout as pause } from "node:timers/promises";
import { Consumer, createSystem, Producer, ProducerConsumer } from "libeam";

const ORDERS = 18;

const system = createSystem();
let [made, packed, shipped] = [0, 0, 0];
const count = () => `${made} made, ${packed} packed, ${shipped} shipped, ${made - shipped} in flight`;

const orders = Producer.start(system, {
  init: () => 1,
  handleDemand: (demand, first: number) => {
    const next = Math.min(first + demand, ORDERS + 1);
    console.log(`producer: asked for ${demand}, makes ${next - first}`);
    made += next - first;
    const events = Array.from({ length: next - first }, (_, i) => first + i);
    return next > ORDERS ? [events, next, "done"] : [events, next];
  },
});

const packing = ProducerConsumer.start(system, {
  handleEvents: (events: number[], _from, state) => {
    packed += events.length;
    return [events.map((order) => `parcel ${order}`), state];
  },
});

let end = () => {};
const ended = new Promise<void>((resolve) => {
  end = resolve;
});

const shipping = Consumer.start(system, {
  init: () => 0,
  // While this waits, demand does not grow, and everything before it stands still.
  handleEvents: async (parcels: string[], _from, vans: number) => {
    await pause(20);
    shipped += parcels.length;
    console.log(`  van ${vans + 1} leaves with ${parcels.join(", ")}  (${count()})`);
    return vans + 1;
  },
  handleCancel: (reason, _from, vans: number) => {
    console.log(`the producer is exhausted ("${reason.type}"): ${vans} vans`);
    end();
    return vans;
  },
});

// From the end to the beginning: nothing flows into a stage that has nowhere to send it.
await shipping.subscribe(packing, { maxDemand: 4, minDemand: 2 });
await packing.subscribe(orders, { maxDemand: 4, minDemand: 2 });

await ended;
console.log(count());
await system.shutdown();
