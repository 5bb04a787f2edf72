/**
 * Names that actors get after they were spawned (`registerName`), beside the one that `spawn` gives and the core owns.
 *
 * An actor may have several. They stay over restarts and end with the actor, or by `unregisterName`. On this node a name is
 * free if neither the core nor this table has it; in the cluster the registry is asked:
 * - `local`: the name is taken at once if this node knows nobody who has it. Two nodes may do so at the same time; then the
 *   registry's rule decides, and the loser's actor is stopped.
 * - `home`: the registry reserves the name first, so that of several nodes one gets it and the others are refused.
 */

import {
  ActorNotFoundError,
  InvalidArgumentError,
  InvalidOptionError,
  LibeamError,
  NameAlreadyRegisteredError,
} from "../errors.js";
import type { ActorCell } from "../kernel/cell.js";
import type { Registry } from "../kernel/collaborators.js";
import type { OptionNames } from "../kernel/options.js";
import { assertName, assertOptions } from "../kernel/validate.js";

/** How a name is taken; see `registerName`. */
export interface RegisterNameOptions {
  /** "local" (default): at once, by what this node knows. "home": after the name's home node has agreed. */
  consistency?: "local" | "home" | undefined;
}

const NAMES: OptionNames<RegisterNameOptions> = { consistency: true };

/** What registered names need of their system. */
export interface NamesHost {
  readonly id: string;
  readonly registry: Registry;
  /** The actor that was spawned with a name. */
  spawnedAs(name: string): ActorCell | undefined;
  /** Tells the registry, and logs what it throws. */
  tellRegistry(tell: () => Promise<void>): void;
}

/** How long a home holds a name for a registration, in milliseconds. */
const RESERVATION_MS = 5_000;

/** See the module's header. */
export class RegisteredNames {
  private readonly cells = new Map<string, ActorCell>();
  private readonly names = new Map<ActorCell, Set<string>>();

  constructor(private readonly host: NamesHost) {}

  /** The actor that has registered a name. */
  find(name: string): ActorCell | undefined {
    return this.cells.get(name);
  }

  /** See `ActorSystem.registerName`. */
  async register(name: string, cell: ActorCell, options: RegisterNameOptions = {}): Promise<void> {
    assertName("name", name);
    assertOptions("registerName options", options, NAMES);
    const { consistency = "local" } = options as RegisterNameOptions;
    if (consistency !== "local" && consistency !== "home") {
      throw new InvalidOptionError("consistency", consistency, '"local" or "home"');
    }
    if (cell.remote !== undefined || cell.ref.id.systemId !== this.host.id) {
      throw new InvalidArgumentError(
        "ref",
        `an actor of node ${this.host.id}, which its own node can name`,
        cell.ref.id,
      );
    }
    this.assertFree(name, cell);
    if (consistency === "home") await this.registerAtHome(name, cell);
    else await this.registerHere(name, cell);
  }

  private async registerHere(name: string, cell: ActorCell): Promise<void> {
    const { registry, id } = this.host;
    if (((await registry.lookup(name)) ?? null) !== null) throw new NameAlreadyRegisteredError(name);
    this.assertFree(name, cell);
    await this.keepIfTaken(name, cell, async () => {
      await registry.register(name, id, cell.ref.id.id);
      return true;
    });
  }

  private async registerAtHome(name: string, cell: ActorCell): Promise<void> {
    const { registry, id } = this.host;
    if (!registry.reserveName || !registry.confirmReservation || !registry.releaseReservation) {
      const message = `Name "${name}" was not registered: the registry cannot reserve names`;
      throw new LibeamError(message, "RESERVATIONS_NOT_SUPPORTED");
    }
    const reservation = await registry.reserveName(name, id, RESERVATION_MS);
    if (reservation === null) throw new NameAlreadyRegisteredError(name);
    const { reservationId } = reservation;
    try {
      const holder = reservation.holder ?? (await registry.lookup(name)) ?? null;
      if (holder !== null) throw new NameAlreadyRegisteredError(name);
      this.assertFree(name, cell);
    } catch (error) {
      await registry.releaseReservation(reservationId);
      throw error;
    }
    const confirm = registry.confirmReservation.bind(registry);
    await this.keepIfTaken(name, cell, () => confirm(reservationId, cell.ref.id.id));
  }

  /** Keeps a name, from before the registry is told; one that it does not take, or fails to, is forgotten. */
  private async keepIfTaken(name: string, cell: ActorCell, tell: () => Promise<boolean>): Promise<void> {
    this.keep(name, cell);
    let taken = false;
    try {
      taken = await tell();
    } finally {
      // Race: it may have been given back, and taken for another actor, meanwhile.
      if (!taken && this.cells.get(name) === cell) this.forget(name);
    }
    if (!taken) throw new NameAlreadyRegisteredError(name);
  }

  /** Checks what may change while the registry is asked. */
  private assertFree(name: string, cell: ActorCell): void {
    if (cell.dead) throw new ActorNotFoundError(cell.ref.id.id, this.host.id);
    if (this.cells.has(name) || this.host.spawnedAs(name) !== undefined) throw new NameAlreadyRegisteredError(name);
  }

  private keep(name: string, cell: ActorCell): void {
    this.cells.set(name, cell);
    const names = this.names.get(cell) ?? new Set();
    this.names.set(cell, names.add(name));
  }

  private forget(name: string): boolean {
    const cell = this.cells.get(name);
    if (cell === undefined) return false;
    this.cells.delete(name);
    const names = this.names.get(cell);
    names?.delete(name);
    if (names?.size === 0) this.names.delete(cell);
    return true;
  }

  /** Gives a registered name back; false if nobody on this node has registered it. */
  unregister(name: string): boolean {
    if (!this.forget(name)) return false;
    this.host.tellRegistry(() => this.host.registry.unregister(name));
    return true;
  }

  /** An actor is gone. */
  gone(cell: ActorCell): void {
    for (const name of [...(this.names.get(cell) ?? [])]) this.unregister(name);
  }

  /** An actor has another id. */
  restarted(cell: ActorCell): void {
    const { registry, id } = this.host;
    for (const name of this.names.get(cell) ?? []) {
      this.host.tellRegistry(() => registry.register(name, id, cell.ref.id.id));
    }
  }
}
