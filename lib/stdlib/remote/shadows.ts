/**
 * Actors of this node that stand for actors of others, so that watches and links across nodes follow the rules of those
 * within one: the core delivers DOWN and EXIT, once, in order, and forgets them with whoever asked.
 *
 * - A *shadow* ends when the actor it stands for ends, for the same reason. Whoever watches that actor watches its shadow.
 * - A *link end* stands for the other side of links between one local and one remote actor. It traps exits: when the
 *   local actor ends the other node is told, and when it is told so it ends for the same reason.
 * - The *observer* watches local actors for other nodes.
 *
 * They are children of one hidden actor which leaves them dead when they crash.
 */

import type { ActorRef } from "../../kernel/actor_ref.js";
import type { DownMessage, ExitMessage, InfoMessage, TerminationReason, WatchRef } from "../../kernel/info.js";
import { type ChildSupervisionOptions, DEFAULT_CHILD_SUPERVISION } from "../../kernel/options.js";
import { Actor, type ActorClass } from "../actor.js";

const LEAVE_DEAD: ChildSupervisionOptions = { ...DEFAULT_CHILD_SUPERVISION, strategy: "Stop" };

/** Stands for an actor of another node that is watched here. */
export class Shadow extends Actor {
  override handleCast(): void {}
}

/** Stands for the other side of a link. */
export class LinkEnd extends Actor {
  private onEnd!: (reason: TerminationReason) => void;

  override init(onEnd: (reason: TerminationReason) => void): void {
    this.onEnd = onEnd;
    this.setTrapExit(true);
  }

  override handleInfo(message: InfoMessage): void {
    if (message.type === "exit") this.onEnd((message as ExitMessage).reason);
  }
}

/** Watches local actors for other nodes. */
export class Observer extends Actor {
  private onDown!: (message: DownMessage) => void;

  override init(onDown: (message: DownMessage) => void): void {
    this.onDown = onDown;
  }

  override handleInfo(message: InfoMessage): void {
    if (message.type === "down") this.onDown(message);
  }

  /** Watches on behalf of a node. */
  observe(ref: ActorRef): WatchRef {
    return this.watch(ref);
  }

  /** Ends that. */
  ignore(watchRef: WatchRef): void {
    this.unwatch(watchRef);
  }
}

/** The parent of all shadows and link ends of a node. */
export class ShadowKeeper extends Actor {
  override childSupervision(): ChildSupervisionOptions {
    return LEAVE_DEAD;
  }

  /** Makes a child. */
  keep(actor: ActorClass, args: unknown[] = []): ActorRef {
    return this.spawn(actor, { args, mailbox: { maxSize: Number.POSITIVE_INFINITY } }) as ActorRef;
  }
}
