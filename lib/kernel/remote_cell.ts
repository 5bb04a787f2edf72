/**
 * What stands for an actor of another node: a cell that is dead here, so nothing of this isolate serves it, and knows who
 * carries messages to it. Every operation on a ref asks its cell for a `remote` where it would find the actor dead, so
 * actors of this node pay nothing for it.
 */

import { type ActorId, takesMethods } from "./actor_id.js";
import { ActorRef, TypedActorRef } from "./actor_ref.js";
import { ActorCell, type Definition } from "./cell.js";
import type { Kernel } from "./kernel.js";
import type { CallTerms } from "./slots.js";

/** Carries what is done to one actor of another node. */
export interface Remote {
  /** Asks it; rejects like a local call. */
  call(method: string | undefined, value: any, terms: CallTerms): Promise<any>;
  /** Sends to it; never throws. */
  cast(method: string | undefined, value: any): void;
  /** Stops it; resolves when it is gone, or its node is. */
  stop(): Promise<void>;
  /** Sends it an exit signal. */
  exit(sender: ActorRef | undefined, reason: unknown): void;
  /** An actor of this node that ends when it ends, for the same reason. */
  shadow(): ActorCell;
  /** An actor of this node to link with in its place. */
  linkEnd(local: ActorRef): ActorCell;
  /** A link with an actor of this node is undone, at whose other side was what `linkEnd` has given. */
  unlinked(end: ActorCell): void;
}

const NOWHERE = 0xffff_ffff;
const NO_WORDS = new Uint32Array(4);

/** The definition of actors whose definition is elsewhere. */
class ElsewhereDefinition implements Definition {
  readonly takesMethods: boolean;

  constructor(
    private readonly id: ActorId,
    readonly className: string,
  ) {
    this.takesMethods = takesMethods(id.id);
  }

  start(): unknown {
    return undefined;
  }

  terminates(): boolean {
    return false;
  }

  childSupervision(): undefined {
    return undefined;
  }

  preRestart(): void {}

  postRestart(): void {}

  makeRef(cell: ActorCell): ActorRef {
    const owner = { _cellOf: () => cell };
    return this.takesMethods ? new TypedActorRef(this.id, owner) : new ActorRef(this.id, owner);
  }
}

/** See the module's header. */
export class RemoteCell extends ActorCell {
  constructor(
    kernel: Kernel,
    id: ActorId,
    private readonly carrier: Remote | undefined,
    className = "",
  ) {
    const place = { words: NO_WORDS, index: NOWHERE, generation: 0 };
    super(kernel, place, new ElsewhereDefinition(id, className), { args: [], name: id.name, parent: null });
    this.bury();
  }

  override get remote(): Remote | undefined {
    return this.carrier;
  }
}
