/**
 * Random conversations: actors that send to each other from handlers of every kind, and crash, pause, block and end
 * meanwhile. Every message arrives once and in the order of its sender; every watch is told once, and after what the ended
 * actor had sent. Every second conversation is observed by telemetry, which takes ways of its own through the kernel.
 *
 * LIBEAM_SEED=<seed> plays the conversation of that seed first; a failure names its seed.
 */

import {
  Actor,
  type ActorRef,
  createActor,
  createSystem,
  type InfoMessage,
  loggerConfig,
  type System,
  TelemetryEvents,
  telemetry,
  type WatchRef,
} from "libeam";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Dice } from "../support/dice.js";
import { printedSeed } from "../support/seed.js";
import { block, turn } from "../support/time.js";

const CONVERSATIONS = 400;
/** Messages of one conversation at most. */
const MESSAGES_MAX = 3_000;
const PATIENCE_MS = 30_000;

/** Whoever sends: the place of an actor in its conversation, or MAIN. */
type Party = number;
const MAIN: Party = -1;

interface Message {
  from: Party;
  to: Party;
  /** Counts the messages from this sender to this receiver. */
  sequence: number;
}

interface Watch {
  watcher: Party;
  /** Which start of the watcher made it. */
  start: number;
  target: Party;
  told: number;
}

/** What a handler may do to its own actor. */
interface Own {
  exit(): void;
  unstashAll(): void;
}

/** What an actor is started with. */
interface Part {
  talk: Conversation;
  place: Party;
}

const Talker = createActor("Talker", (ctx, self, { talk, place }: Part) => {
  talk.begins(place);
  return self
    .onCall("hear", (message: Message) => talk.hear(message, ctx))
    .onCast("hear", (message: Message) => talk.hear(message, ctx))
    .onInfo("down", ({ watchRef }) => talk.hearEnd(place, watchRef));
});

class ClassTalker extends Actor {
  private part!: Part;

  private readonly own: Own = { exit: () => this.exit(this.self), unstashAll: () => this.unstashAll() };

  override init(part: Part): void {
    this.part = part;
    part.talk.begins(part.place);
  }

  override handleCall({ args }: any): any {
    return this.part.talk.hear(args[0], this.own);
  }

  override handleCast({ args }: any): any {
    return this.part.talk.hear(args[0], this.own);
  }

  override handleInfo(message: InfoMessage): void {
    if (message.type === "down") this.part.talk.hearEnd(this.part.place, message.watchRef);
  }
}

/** One conversation. */
class Conversation {
  /** What happened and must not. */
  readonly wrongs: string[] = [];
  private readonly dice: Dice;
  private readonly refs: ActorRef[] = [];
  /** How often each actor has started. */
  private readonly starts: number[] = [];
  /** Actors that talk to the end; the others after them end on the way. */
  private readonly lasting: number;
  private readonly sent = new Map<string, number>();
  private readonly heard = new Map<string, number>();
  private readonly watches = new Map<WatchRef, Watch>();
  private readonly ended = new Set<Party>();
  /** Actors in the middle of a handler. */
  private readonly inside = new Set<Party>();
  private messages = 0;
  /** Messages that are to arrive and have not. */
  private underWay = 0;
  /** Calls that have not settled. */
  private asking = 0;

  constructor(
    readonly seed: number,
    private readonly system: System,
  ) {
    this.dice = new Dice(seed);
    this.lasting = 2 + this.dice.below(5);
    const all = this.lasting + this.dice.below(4);
    for (let place = 0; place < all; place++) {
      const kind: any = this.dice.chance(0.6) ? Talker : ClassTalker;
      this.starts.push(0);
      this.refs.push(system.spawn(kind, { args: [{ talk: this, place }] }) as ActorRef);
    }
  }

  /** Lets them talk until nothing is left to say. */
  async play(): Promise<void> {
    for (let target = this.lasting; target < this.refs.length; target++) {
      for (let watcher = 0; watcher < this.lasting; watcher++) this.watch(watcher, target);
    }
    const rounds = 1 + this.dice.below(4);
    for (let round = 0; round < rounds; round++) {
      for (let n = this.dice.pick([1, 8, 90, 600]); n > 0; n--) this.say(MAIN);
      if (this.dice.chance(0.5)) await turn();
    }
    const deadline = performance.now() + PATIENCE_MS;
    while (!this.isOver() && performance.now() < deadline) await turn();
    for (const { watcher, target } of this.untold()) this.wrongs.push(`${watcher} was not told that ${target} ended`);
    if (this.underWay > 0) this.wrongs.push(`${this.underWay} messages were lost`);
    for (const ref of this.refs) await this.system.stop(ref);
    if (this.asking > 0) this.wrongs.push(`${this.asking} calls have no answer`);
  }

  private isOver(): boolean {
    return this.underWay === 0 && this.asking === 0 && this.untold().length === 0;
  }

  /** An actor starts. */
  begins(place: Party): void {
    this.starts[place]!++;
    this.inside.delete(place);
  }

  private watch(watcher: Party, target: Party): void {
    const watchRef = this.system.system.watch(this.refs[watcher]!, this.refs[target]!);
    this.watches.set(watchRef, { watcher, start: this.starts[watcher]!, target, told: 0 });
  }

  /** A watcher is told that somebody ended. */
  hearEnd(watcher: Party, watchRef: WatchRef): void {
    const watch = this.watches.get(watchRef);
    if (watch === undefined || watch.watcher !== watcher) this.wrongs.push(`${watcher} is told of a foreign watch`);
    else if (++watch.told > 1) this.wrongs.push(`${watcher} is told twice that ${watch.target} ended`);
    else {
      const pair = `${watch.target} to ${watcher}`;
      if (this.sent.get(pair) !== this.heard.get(pair)) this.wrongs.push(`the end overtook messages from ${pair}`);
    }
  }

  /** Watches whose watcher has not been told, although it has not started again since. */
  private untold(): Watch[] {
    const due = ({ watcher, start, target, told }: Watch): boolean =>
      told === 0 && this.ended.has(target) && this.starts[watcher] === start;
    return [...this.watches.values()].filter(due);
  }

  /** Sends something to somebody. */
  private say(from: Party): void {
    if (this.messages >= MESSAGES_MAX) return;
    const { dice } = this;
    const to = dice.chance(0.1) && this.lasting < this.refs.length ? this.anybody() : dice.below(this.lasting);
    const pair = `${from} to ${to}`;
    const message = { from, to, sequence: this.sent.get(pair) ?? 0 };
    const ask = to !== from && dice.chance(0.25);
    this.messages++;
    this.sent.set(pair, message.sequence + 1);
    if (to < this.lasting) this.underWay++;
    const ref = this.refs[to] as any;
    if (ask) this.ask(ref, message);
    else ref.cast({ method: "hear", args: [message] });
  }

  private ask(ref: any, message: Message): void {
    this.asking++;
    const settled = (): void => void this.asking--;
    ref.call({ method: "hear", args: [message] }, Number.POSITIVE_INFINITY).then(settled, settled);
  }

  private anybody(): Party {
    return this.dice.below(this.refs.length);
  }

  /** A message arrives. */
  hear({ from, to, sequence }: Message, own: Own): unknown {
    const { dice } = this;
    const pair = `${from} to ${to}`;
    const expected = this.heard.get(pair) ?? 0;
    if (sequence !== expected) this.wrongs.push(`${pair}: ${sequence} came instead of ${expected}`);
    if (this.inside.has(to)) this.wrongs.push(`${to} runs two handlers at once`);
    this.heard.set(pair, sequence + 1);
    if (to < this.lasting) this.underWay--;
    for (let n = dice.pick([0, 0, 0, 1, 1, 2]); n > 0; n--) this.say(to);
    if (to >= this.lasting && dice.chance(0.2)) this.end(to, own);
    switch (dice.below(40)) {
      case 0:
        throw new Error("crash");
      case 1:
        return this.slowly(
          to,
          turn().then(() => Promise.reject(new Error("slow crash"))),
        );
      case 2:
      case 3:
        return this.slowly(to, turn());
      case 4:
      case 5:
      case 6:
        return this.slowly(to, Promise.resolve());
      case 7:
        if (dice.chance(0.05)) block(2);
        return undefined;
      case 8:
        this.pause(to);
        return undefined;
      case 9:
        own.unstashAll(); // Looks into the mailbox, so what the batch holds goes back first.
        return undefined;
      default:
        return undefined;
    }
  }

  private slowly(place: Party, promise: Promise<unknown>): Promise<unknown> {
    this.inside.add(place);
    const start = this.starts[place];
    return promise.finally(() => {
      if (this.starts[place] === start) this.inside.delete(place);
    });
  }

  private pause(place: Party): void {
    const id = this.refs[place]!.id.id;
    this.system.system.pauseMailbox(id);
    void turn().then(() => this.system.system.resumeMailbox(id));
  }

  private end(place: Party, own: Own): void {
    if (this.ended.has(place)) return;
    this.ended.add(place);
    if (this.dice.chance(0.5)) own.exit();
    else void this.system.stop(this.refs[place]!);
  }
}

beforeAll(() => {
  loggerConfig.level = "none";
});

afterAll(() => {
  loggerConfig.level = "info";
});

describe("random conversations", () => {
  it(`${CONVERSATIONS} of them lose, double and reorder nothing`, async () => {
    const first = printedSeed();
    for (let played = 0; played < CONVERSATIONS; played++) {
      const seed = first + played;
      const system = createSystem({ supervision: { maxRestarts: 1_000_000 } });
      if (seed % 2 === 0) telemetry.attach("listener", [[...TelemetryEvents.actor.handleCall, "stop"]], () => {});
      const conversation = new Conversation(seed, system);
      await conversation.play();
      telemetry.detach("listener");
      await system.shutdown();
      expect(conversation.wrongs, `LIBEAM_SEED=${conversation.seed}`).toEqual([]);
    }
  }, 120_000);
});
