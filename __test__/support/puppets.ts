/**
 * Random scripts: actors that do what closures tell them, and a script that tells them at random.
 *
 * A script owns everything it spawns. `play` ends when it has stopped all of it and every call has settled; what the
 * system still holds then is a leak. Equal seeds give equal scripts, though not equal interleavings.
 */

import { Actor, type ActorRef, createActor, type InfoMessage, type System } from "../../lib/index.js";
import { Dice } from "./dice.js";
import { nodeTimer, turn } from "./time.js";

/** What an actor does with a message; the arguments are its context and its builder. */
type Act = (ctx: any, self: any) => unknown;

interface Role {
  supervision: object;
  /** Probability of a failing start. */
  fails: number;
  init: "sync" | "async" | "continue";
  traps: boolean;
  terminates: "no" | "sync" | "async" | "throws" | "hangs";
  dice: Dice;
  /** Takes down what must not happen. */
  blame: (what: string) => void;
}

function begin(role: Role): unknown {
  if (role.dice.chance(role.fails)) {
    if (role.init === "async") return turn().then(() => Promise.reject(new Error("no start")));
    throw new Error("no start");
  }
  if (role.init === "async") return turn();
  return role.init === "continue" ? { continue: role.dice.below(2) } : undefined;
}

function end(role: Role): unknown {
  if (role.terminates === "throws") throw new Error("no end");
  if (role.terminates === "async") return turn();
  return role.terminates === "hangs" ? new Promise(() => {}) : undefined;
}

function continued(data: number, role: Role): unknown {
  if (role.dice.chance(0.1)) throw new Error("no continuation");
  return data === 0 ? undefined : turn();
}

/** Sees to it that one incarnation runs one handler at a time. */
class Turnstile {
  private inside = false;

  constructor(private readonly role: Role) {}

  pass(act: Act, ctx: any, self: any): unknown {
    if (this.inside) this.role.blame("two handlers at once");
    const result = act(ctx, self);
    if (!(result instanceof Promise)) return result;
    this.inside = true;
    return result.finally(() => {
      this.inside = false;
    });
  }
}

/** A functional puppet. */
const Puppet = createActor("Puppet", (ctx, self, role: Role) => {
  const turnstile = new Turnstile(role);
  self
    .childSupervision(role.supervision)
    .onCall("run", (act: Act) => turnstile.pass(act, ctx, self))
    .onCast("run", (act: Act) => turnstile.pass(act, ctx, self))
    .onInfo("timeout", () => role.dice.chance(0.2) && ctx.exit())
    .onContinue((data) => continued(data, role));
  if (role.terminates !== "no") self.onTerminate(() => end(role));
  if (role.traps) ctx.setTrapExit(true);
  return begin(role) as any;
});

/** A class-based one; it is its own context and builder. */
class ClassPuppet extends Actor {
  private role!: Role;
  private turnstile!: Turnstile;

  override init(role: Role): any {
    this.role = role;
    this.turnstile = new Turnstile(role);
    this.setTrapExit(role.traps);
    return begin(role);
  }

  override childSupervision(): any {
    return { strategy: "one-for-one", maxRestarts: 3, periodMs: 5_000, ...this.role.supervision };
  }

  override handleContinue(data: number): any {
    return continued(data, this.role);
  }

  override terminate(): any {
    return end(this.role);
  }

  override handleCall({ args }: any): unknown {
    return this.turnstile.pass(args[0], this, this);
  }

  override handleCast({ args }: any): any {
    return this.turnstile.pass(args[0], this, this);
  }

  override handleInfo(message: InfoMessage): void {
    if (message.type === "timeout" && this.role.dice.chance(0.2)) this.exit(this.self, "normal");
  }
}

const STRATEGIES = ["one-for-one", "one-for-all", "rest-for-one", "Restart", "Stop", "Escalate"];
/** Steps of one script. */
const STEPS_MAX = 24;

/** One script under way. */
export class Script {
  /** The steps, each with the actors that it took, counted in the order of their spawning. */
  readonly log: string[] = [];
  /** What happened and must not. */
  readonly wrongs: string[] = [];
  private readonly blame = (what: string): void => void this.wrongs.push(what);
  private dice: Dice;
  private readonly refs: { ref: ActorRef; system: System }[] = [];
  private readonly roots: { ref: ActorRef; system: System }[] = [];
  private readonly calls: Promise<unknown>[] = [];
  private readonly relations: { undo: (system: System) => void; system: System }[] = [];
  private readonly timers: { timer: any; ref: ActorRef; system: System }[] = [];
  private pending = 0;

  constructor(
    readonly seed: number,
    private readonly systems: System[],
    /** Steps to leave out; for finding those that matter in a script that failed. */
    private readonly without: ReadonlySet<number> = new Set(),
  ) {
    this.dice = new Dice(seed);
  }

  /** Plays the script to its end. */
  async play(): Promise<void> {
    this.spawnRoot();
    const steps = 2 + this.dice.below(STEPS_MAX - 2);
    for (let step = 0; step < steps; step++) {
      if (this.without.has(step)) continue;
      this.dice = new Dice(this.seed * STEPS_MAX + step);
      const name = this.dice.pick(Object.keys(this.ops)) as keyof Script["ops"];
      this.log.push(name);
      await this.ops[name]();
      if (!this.dice.chance(0.25)) continue;
      this.log.push("turn");
      await turn();
    }
    await Promise.all(this.roots.map(({ ref, system }) => system.stop(ref)));
    await Promise.all(this.calls);
  }

  /** How many calls have not settled. */
  get unsettled(): number {
    return this.pending;
  }

  private role(): Role {
    const { dice } = this;
    const backoff = dice.chance(0.3) ? { backoff: { initialMs: 1, maxMs: 2 } } : {};
    const role: Role = {
      supervision: { strategy: dice.pick(STRATEGIES), maxRestarts: dice.below(4), ...backoff },
      fails: dice.chance(0.2) ? 0.5 : 0,
      init: dice.pick(["sync", "sync", "async", "continue"]),
      traps: dice.chance(0.3),
      terminates: dice.chance(0.02) ? "hangs" : dice.pick(["no", "sync", "async", "throws"]),
      dice: new Dice(dice.below(2 ** 31)),
      blame: this.blame,
    };
    return role;
  }

  private spawnOptions(): any {
    const { dice } = this;
    const overflowStrategy = dice.pick(["drop-newest", "drop-oldest", "error"]);
    const options = {
      args: [this.role()],
      ...(dice.chance(0.3) ? { name: `name-${dice.below(4)}` } : {}),
      ...(dice.chance(0.2) ? { mailbox: { maxSize: 1 + dice.below(4), overflowStrategy } } : {}),
    };
    this.log.push(`as ${JSON.stringify(options)}`);
    return options;
  }

  private kind(): any {
    return this.dice.chance(0.5) ? Puppet : ClassPuppet;
  }

  private spawnRoot(): void {
    const system = this.dice.pick(this.systems);
    const entry = attempt(() => ({ ref: system.spawn(this.kind(), this.spawnOptions()) as ActorRef, system }));
    if (entry === undefined) return;
    this.refs.push(entry);
    this.roots.push(entry);
  }

  private any(): { ref: ActorRef; system: System } | undefined {
    if (this.refs.length === 0) return undefined;
    const at = this.dice.below(this.refs.length);
    this.log[this.log.length - 1] += ` ${at}`;
    return this.refs[at];
  }

  /** An act that may run once; a stashed message runs again. */
  private once(act: Act, state = { runs: 0, refused: false }): Act {
    return (ctx, self) => {
      if (++state.runs > 1) this.blame("a message was handled twice");
      if (state.refused) this.blame("a refused call was handled");
      return act(ctx, self);
    };
  }

  private tell(act: Act, to = this.any()): void {
    to?.ref.cast({ method: "run", args: [this.once(act)] });
  }

  private ask(act: Act, options?: any): void {
    const to = this.any();
    if (to === undefined) return;
    const state = { runs: 0, refused: false };
    const settled = (): void => {
      this.pending--;
      state.refused = state.runs === 0;
    };
    this.pending++;
    this.calls.push(to.ref.call({ method: "run", args: [this.once(act, state)] }, options).then(settled, settled));
  }

  private timeout(): number | undefined {
    return this.dice.pick([undefined, 1, 3, Number.POSITIVE_INFINITY]);
  }

  /** Everything that may happen. */
  private readonly ops = {
    root: () => this.spawnRoot(),
    child: () => {
      const [kind, options, to] = [this.kind(), this.spawnOptions(), this.any()];
      this.tell((ctx) => {
        const ref = ctx.spawn(kind, options);
        this.refs.push({ ref, system: to?.system as System });
      }, to);
    },
    call: () => this.ask((ctx) => ctx.self, this.timeout()),
    slowCall: () => this.ask(() => turn(), this.timeout()),
    hungCall: () => this.ask(() => new Promise(() => {}), this.dice.pick([1, 3, Number.POSITIVE_INFINITY])),
    failingCall: () => this.ask(() => Promise.reject(new Error("no")), this.timeout()),
    abortedCall: () => {
      const controller = new AbortController();
      this.ask(() => turn(), { signal: controller.signal });
      if (this.dice.chance(0.5)) controller.abort();
      else this.tell(() => controller.abort());
    },
    callFromWithin: () => {
      const [other, timeout] = [this.any(), this.dice.pick([1, 2])];
      this.ask(async () => other?.ref.call({ method: "run", args: [() => 1] }, timeout), this.timeout());
    },
    cast: () => this.tell(() => undefined),
    casts: () => {
      const to = this.any();
      for (let n = this.dice.below(100); n > 0; n--) this.tell(n % 7 === 0 ? () => turn() : () => n, to);
    },
    crash: () =>
      this.tell(() => {
        throw new Error("crash");
      }),
    slowCrash: () => this.tell(() => turn().then(() => Promise.reject(new Error("crash")))),
    kill: () => this.signal("kill"),
    exit: () => this.signal(this.dice.pick<unknown>(["because", { code: 1 }, "normal"])),
    exitFromWithin: () => {
      const [other, reason] = [this.any(), this.dice.pick(["normal", "kill", "because"])];
      this.tell((ctx) => ctx.exit(other?.ref, reason));
    },
    link: () => this.relate("link", "unlink"),
    watch: () => this.relate("watch", "unwatch"),
    undo: () => {
      const relation = this.relations.pop();
      attempt(() => relation?.undo(relation.system));
    },
    trap: () => {
      const trap = this.dice.chance(0.5);
      this.tell((ctx) => ctx.setTrapExit(trap));
    },
    timer: () => {
      const [ms, interval, crashes] = [this.dice.below(4), this.dice.chance(0.4), this.dice.chance(0.1)];
      const to = this.any();
      const act: Act = () => {
        if (crashes) throw new Error("tick");
      };
      if (to === undefined) return;
      const message = { method: "run", args: [act] };
      const timer = to.system.system.startActorTimer(to.ref, message, interval ? ms + 1 : ms, interval);
      this.timers.push({ timer, ...to });
    },
    cancel: () => {
      const entry = this.timers.pop();
      entry?.system.system.cancelActorTimer(entry.ref, entry.timer);
    },
    cancelAll: () => this.tell((_ctx, self) => self.cancelAllTimers()),
    idle: () => {
      const ms = this.dice.below(3);
      this.tell((_ctx, self) => self.setIdleTimeout(ms));
    },
    stash: () => {
      const [asks, timeout, to] = [this.dice.chance(0.5), this.timeout(), this.any()];
      const message = { method: "run", args: [(ctx: any) => ctx.stash()] };
      if (!asks) to?.ref.cast(message);
      else if (to !== undefined) this.calls.push(to.ref.call(message, timeout).catch(() => {}));
    },
    unstash: () => {
      const how = this.dice.pick(["unstash", "unstashAll", "clearStash"]);
      this.tell((ctx) => ctx[how]());
    },
    join: () => {
      const to = this.any();
      to?.system.joinGroup(`group-${this.dice.below(3)}`, to.ref);
    },
    leave: () => {
      const to = this.any();
      to?.system.leaveGroup(`group-${this.dice.below(3)}`, to.ref);
    },
    broadcast: () => {
      const system = this.dice.pick(this.systems);
      system.broadcast(`group-${this.dice.below(3)}`, { method: "run", args: [() => undefined] });
    },
    pause: () => this.withId((system, id) => system.system.pauseMailbox(id)),
    resume: () => this.withId((system, id) => system.system.resumeMailbox(id)),
    drain: () => {
      const back = this.dice.chance(0.5);
      return this.withId(async (system, id) => {
        const messages = await system.system.drainMailbox(id, 2);
        if (back && system.system.injectMessages(id, messages)) return;
        for (const message of messages) message.reject?.(new Error("drained"));
      });
    },
    stop: () => {
      const to = this.any();
      if (to !== undefined) void to.system.stop(to.ref);
    },
    restart: () => {
      const [to, within] = [this.any(), this.dice.chance(0.3)];
      const restart = (): unknown => to?.system.system.restart(to.ref).catch(() => null);
      if (within) this.ask(restart, this.timeout());
      else void restart();
    },
    stopFromWithin: () => {
      const other = this.any();
      this.ask(async (ctx) => ctx.stopChild(other?.ref), this.timeout());
    },
    time: () => nodeTimer(1),
  };

  private signal(reason: unknown): void {
    const [from, to] = [this.dice.chance(0.5) ? this.any() : undefined, this.any()];
    this.log[this.log.length - 1] += ` ${JSON.stringify(reason)}`;
    if (to !== undefined) to.system.system.sendExit(from?.ref ?? null, to.ref, reason);
  }

  private relate(make: "link" | "watch", undo: "unlink" | "unwatch"): void {
    const [one, other] = [this.any(), this.any()];
    if (one === undefined || other === undefined) return;
    const relation: any = attempt(() => one.system.system[make](one.ref, other.ref));
    if (relation === undefined) return;
    this.relations.push({ undo: (system) => system.system[undo](relation), system: one.system });
  }

  private withId(run: (system: System, id: string) => unknown): unknown {
    const to = this.any();
    return to === undefined ? undefined : run(to.system, to.ref.id.id);
  }
}

/** What `run` gives, or undefined if it throws what an actor may be refused with. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error: any) {
    const expected = ["NAME_ALREADY_REGISTERED", "ACTOR_NOT_FOUND", "SYSTEM_SHUTTING_DOWN"].includes(error?.code);
    if (!expected && error?.message !== "no start") throw error;
    return undefined;
  }
}
