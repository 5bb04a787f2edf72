/**
 * What the log and telemetry are told of crashes and restarts.
 *
 * Each is reported once in a cluster: of a child on another node by the node of its parent, where its stand-in does as the
 * child has done. The runtime's other own actors are not reported.
 */

import { messageOf } from "../errors.js";
import type { ActorCell } from "../kernel/cell.js";
import type { Logger } from "../kernel/logger.js";
import {
  type ChildSupervisionOptions,
  type SomeOf,
  type SupervisionOptions,
  DEFAULT_CHILD_SUPERVISION as standard,
} from "../kernel/options.js";
import { DECISION_ESCALATE, DECISION_GIVE_UP, DECISION_IGNORED } from "../kernel/protocol.js";
import { TelemetryEvents, telemetry } from "../kernel/telemetry.js";
import { isGuest, isHalt } from "./remote/guests.js";
import { isHidden } from "./remote/hidden.js";
import { standInOf } from "./remote/stand_ins.js";

/** See the module's header. */
export class SupervisorReports {
  constructor(
    private readonly log: Logger,
    /** How roots are supervised. */
    private readonly rootSupervision: SomeOf<SupervisionOptions>,
  ) {}

  /** An actor has crashed, and this is what follows. */
  crashed(cell: ActorCell, error: unknown, decision: number, attempt: number): void {
    const standIn = standInOf(cell);
    if (isHalt(error) || (standIn === undefined && isHidden(cell))) return; // It only does as another actor has done.
    const strategy = this.strategyOf(cell);
    const actor_id = standIn?.place.id ?? cell.ref.id.id;
    this.log.error("Actor crashed", error, { actorId: actor_id, className: cell.definition.className });
    // Of a child it is the node of the parent that decides, and tells.
    if (!telemetry.active || decision === DECISION_IGNORED || isGuest(cell)) return;
    const message = messageOf(error);
    telemetry.execute(TelemetryEvents.supervisor.crash, {}, { actor_id, error: message, strategy });
    if (decision === DECISION_GIVE_UP) {
      const { maxRestarts = standard.maxRestarts, periodMs = standard.periodMs } = this.optionsOf(cell);
      const metadata = { actor_id, max_restarts: maxRestarts, period_ms: periodMs };
      telemetry.execute(TelemetryEvents.supervisor.maxRestarts, { count: attempt }, metadata);
    }
    if (decision === DECISION_ESCALATE) {
      telemetry.execute(TelemetryEvents.supervisor.escalate, {}, { actor_id, error: message });
    }
  }

  /** An actor was started again. */
  restarted(cell: ActorCell, oldId: string, attempt: number): void {
    if (!telemetry.active || isGuest(cell)) return;
    const actor_id = standInOf(cell)?.previousId ?? oldId;
    const metadata = { actor_id, new_actor_id: cell.ref.id.id, attempt, strategy: this.strategyOf(cell) };
    telemetry.execute(TelemetryEvents.supervisor.restart, {}, metadata);
  }

  private optionsOf(cell: ActorCell): SomeOf<SupervisionOptions | ChildSupervisionOptions> {
    const { parent } = cell;
    if (parent === null) return this.rootSupervision;
    try {
      return (parent.behaviour === null ? undefined : parent.definition.childSupervision(parent)) ?? {};
    } catch {
      return {}; // The kernel has logged it and goes by the default.
    }
  }

  private strategyOf(cell: ActorCell): string {
    return this.optionsOf(cell).strategy ?? (cell.parent === null ? "Restart" : "one-for-one");
  }
}
