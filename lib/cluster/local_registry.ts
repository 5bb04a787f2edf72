/**
 * Names of actors, kept in this process.
 *
 * Serves one system, or several in one process that share the instance. Every method does its work before it returns
 * its promise, so a lookup right after a registration finds it.
 *
 * Reservations: a migration holds the name on the target before the actor arrives. A reservation blocks other
 * reservations of that name and nothing else; the name keeps resolving to its present actor until `confirmReservation`
 * moves it. It ends by confirmation, by release, or `ttlMs` after it was made. Expiry needs no timer: a reservation
 * is looked at when its name or id is asked for, and a sweep, whose cost is spread over the reservations made,
 * removes those that nobody asks for again.
 *
 * `disconnect` forgets nothing, because another system may share the registry.
 */

import { randomUUID } from "node:crypto";
import type { ActorLocation, NameReservation, Registry } from "../kernel/collaborators.js";
import { assertName, assertNonNegativeMs } from "../kernel/validate.js";

/** Life of a reservation that names none, in ms. */
const RESERVATION_TTL_MS = 30_000;
/** Reservations below which sweeping is not worth it. */
const SWEEP_AT_MIN = 64;

interface Reservation {
  readonly id: string;
  readonly name: string;
  readonly nodeId: string;
  /** By `performance.now()`: changes of the wall clock neither revive nor kill a reservation. */
  readonly expiresAtMs: number;
}

function isExpired(reservation: Reservation): boolean {
  return performance.now() >= reservation.expiresAtMs;
}

/** A registry for a single process. */
export class LocalRegistry implements Registry {
  readonly #locations = new Map<string, ActorLocation>();
  /** Reservations by id. Invariant: holds the same reservations as #reservedNames. */
  readonly #reservations = new Map<string, Reservation>();
  readonly #reservedNames = new Map<string, Reservation>();
  /** Number of reservations at which expired ones are swept. */
  #sweepAt = SWEEP_AT_MIN;

  /** Binds a name to an actor, in place of the one before. Rejects with INVALID_ARGUMENT for an unusable name. */
  async register(name: string, nodeId: string, actorId: string): Promise<void> {
    assertName("actor name", name);
    this.#locations.set(name, { nodeId, actorId });
  }

  /** Frees a name; unknown names are ignored. */
  async unregister(name: string): Promise<void> {
    this.#locations.delete(name);
  }

  /** Where the actor of that name lives, or null. */
  async lookup(name: string): Promise<ActorLocation | null> {
    const location = this.#locations.get(name);
    return location === undefined ? null : { ...location };
  }

  /** Names bound to actors of a node. Walks all names. */
  async getNodeActors(nodeId: string): Promise<string[]> {
    return [...this.#locations].filter(([, location]) => location.nodeId === nodeId).map(([name]) => name);
  }

  /** Does nothing; the registry is always ready. */
  async connect(): Promise<void> {}

  /** Does nothing; names stay, see above. */
  async disconnect(): Promise<void> {}

  /** Holds a name for `ttlMs` (default 30 000 ms); null while another reservation holds it. */
  async reserveName(name: string, nodeId: string, ttlMs = RESERVATION_TTL_MS): Promise<NameReservation | null> {
    assertName("actor name", name);
    assertNonNegativeMs("ttlMs", ttlMs);
    const held = this.#reservedNames.get(name);
    if (held !== undefined) {
      if (!isExpired(held)) return null;
      this.#forget(held);
    }
    this.#sweep();
    const reservation: Reservation = { id: randomUUID(), name, nodeId, expiresAtMs: performance.now() + ttlMs };
    this.#reservations.set(reservation.id, reservation);
    this.#reservedNames.set(name, reservation);
    return { reservationId: reservation.id };
  }

  /** Binds the reserved name to the actor; false, and no change, if the reservation is gone. */
  async confirmReservation(reservationId: string, actorId: string): Promise<boolean> {
    const reservation = this.#reservations.get(reservationId);
    if (reservation === undefined) return false;
    this.#forget(reservation);
    if (isExpired(reservation)) return false;
    this.#locations.set(reservation.name, { nodeId: reservation.nodeId, actorId });
    return true;
  }

  /** Gives a reservation back; unknown ids are ignored. */
  async releaseReservation(reservationId: string): Promise<void> {
    const reservation = this.#reservations.get(reservationId);
    if (reservation !== undefined) this.#forget(reservation);
  }

  #forget(reservation: Reservation): void {
    this.#reservations.delete(reservation.id);
    this.#reservedNames.delete(reservation.name);
  }

  #sweep(): void {
    if (this.#reservations.size < this.#sweepAt) return;
    for (const reservation of this.#reservations.values()) {
      if (isExpired(reservation)) this.#forget(reservation);
    }
    this.#sweepAt = Math.max(SWEEP_AT_MIN, 2 * this.#reservations.size);
  }
}
