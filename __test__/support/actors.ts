/**
 * Actors that specs of life and death share: one that works, one that has children, one that watches and links.
 *
 * Each notes what happens to it in the journal that it is given.
 */

import {
  Actor,
  type ActorRef,
  type ChildSupervisionOptions,
  createActor,
  type InfoMessage,
  type LinkRef,
  type SpawnOptions,
  type WatchRef,
} from "libeam";

/** Writes an event down. */
export type Note = (event: string) => void;

/** Notes `init:label` and `terminate:label`, and crashes when told. */
export const Worker = createActor("Worker", (ctx, self, label: string, note: Note) => {
  note(`init:${label}`);
  return self
    .onCall("id", () => ctx.self.id.id)
    .onCall("wait", async (passed: Promise<unknown>) => passed)
    .onCast("note", (text: string) => note(`${label}:${text}`))
    .onCast("crash", (error: unknown = new Error("boom")) => {
      throw error;
    })
    .onCast("crashAfter", async (promise: Promise<unknown>) => {
      await promise;
      throw new Error("boom");
    })
    .onCast("exit", (...args: unknown[]) => ctx.exit(...(args as [any, any])))
    .onTerminate(() => note(`terminate:${label}`));
});

/** Has a `Worker` for each label, and supervises them as told. */
export const Boss = createActor(
  "Boss",
  (ctx, self, options: Partial<ChildSupervisionOptions>, labels: string[], note: Note) => {
    note("init:boss");
    for (const label of labels) ctx.spawn(Worker, { args: [label, note] });
    return self
      .childSupervision(options)
      .onCall("id", () => ctx.self.id.id)
      .onCall("children", () => ctx.getChildren())
      .onCall("count", () => ctx.countChildren())
      .onCall("spawn", (definition: any, spawnOptions?: SpawnOptions): ActorRef => ctx.spawn(definition, spawnOptions))
      .onCall("stop", (ref: ActorRef) => ctx.stopChild(ref))
      .onCast("crash", (error: unknown = new Error("boom")) => {
        throw error;
      })
      .onTerminate(() => note("terminate:boss"));
  },
);

/** Watches and links on demand, and hands on the messages of the system. */
export const Observer = createActor("Observer", (ctx, self, note: (message: any) => void) =>
  self
    .onCall("id", () => ctx.self.id.id)
    .onCall("watch", (ref: ActorRef): WatchRef => ctx.watch(ref))
    .onCall("unwatch", (watchRef: WatchRef) => ctx.unwatch(watchRef))
    .onCall("link", (ref: ActorRef): LinkRef => ctx.link(ref))
    .onCall("unlink", (linkRef: LinkRef) => ctx.unlink(linkRef))
    .onCall("trap", (trap: boolean) => ctx.setTrapExit(trap))
    .onCall("exit", (ref: ActorRef, reason: unknown) => ctx.exit(ref, reason))
    .onCall("wait", async (passed: Promise<unknown>) => passed)
    .onCast("note", (message: any) => note(message))
    .onCast("crash", (error: unknown = new Error("boom")) => {
      throw error;
    })
    .onInfo("down", note)
    .onInfo("exit", note),
);

/** The same for the class-based API; also shows what is protected there. */
export class ClassObserver extends Actor {
  private note!: (message: InfoMessage) => void;

  override init(note: (message: any) => void, trap = false): void {
    this.note = note;
    this.setTrapExit(trap);
  }

  override handleCall({ method, args = [] }: { method: string; args?: any[] }): any {
    return (this as any)[method](...args);
  }

  override handleCast(message: { type: string; error?: unknown }): void {
    if (message.type === "crash") throw message.error ?? new Error("boom");
  }

  override handleInfo(message: InfoMessage): void {
    this.note(message);
  }

  id(): string {
    return this.self.id.id;
  }

  relations(): { watches: number; links: number; trapExit: boolean } {
    const { watches, links, trapExit } = this.context;
    return { watches: watches.size, links: links.size, trapExit };
  }
}

/** A class-based actor whose handlers are given from outside. */
export function actorOf(handlers: {
  call?: (message: any) => any;
  cast?: (message: any) => any;
  init?: () => any;
}): new () => Actor {
  return class Given extends Actor {
    override init(): any {
      return handlers.init?.();
    }
    override handleCall(message: any): any {
      return handlers.call?.(message);
    }
    override handleCast(message: any): any {
      return handlers.cast?.(message);
    }
  };
}

/** A class-based actor that answers every call with its message. */
export class Echo extends Actor {
  override handleCall(message: any): any {
    return message;
  }
}
