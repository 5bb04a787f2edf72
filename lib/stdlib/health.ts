/**
 * Health of components and of a node as a whole, for probes and dashboards.
 *
 * A component reports one of three states; the node's is the worst of its components. Checks run together, each may
 * be sync or async. A check that throws, answers with something that is no health, or takes longer than
 * CHECK_TIMEOUT_MS counts as unhealthy; one broken check never hides the others and never holds a probe.
 *
 * Owner: an aggregator holds references to what is registered until `unregister`. It starts no timer of its own; a
 * running async check has one, which ends with the check.
 */

import { InvalidArgumentError, messageOf } from "../errors.js";
import { assertName } from "../kernel/validate.js";

/** "degraded" works with restrictions, "unhealthy" does not work. */
export type HealthStatus = "healthy" | "degraded" | "unhealthy";

/** Health of one component. */
export interface ComponentHealth {
  /** Which component. */
  name: string;
  /** How it is. */
  status: HealthStatus;
  /** The same for people. */
  message?: string | undefined;
  /** The numbers behind it. */
  details?: Record<string, unknown> | undefined;
}

/** Health of a node and of everything registered on it. */
export interface HealthReport {
  /** The worst status of the components; "healthy" if there are none. */
  status: HealthStatus;
  timestamp: Date;
  nodeId: string;
  /** In the order of registration. */
  components: ComponentHealth[];
  /** Age of the aggregator, in ms. */
  uptimeMs?: number | undefined;
}

/** Something that can tell how it is. */
export interface HealthCheckable {
  /** How it is now. */
  getHealth(): ComponentHealth | Promise<ComponentHealth>;
}

/** Time an async check may take before it counts as unhealthy, in ms. */
const CHECK_TIMEOUT_MS = 5_000;

const SEVERITY: Readonly<Record<HealthStatus, number>> = { healthy: 0, degraded: 1, unhealthy: 2 };

/** The worst of the given states; "healthy" if there are none. @throws InvalidArgumentError for what is no state */
export function combineHealthStatus(statuses: readonly HealthStatus[]): HealthStatus {
  if (!Array.isArray(statuses)) throw new InvalidArgumentError("health states", "an array", statuses);
  for (const each of statuses) {
    if (!isStatus(each)) throw new InvalidArgumentError("health state", '"healthy", "degraded" or "unhealthy"', each);
  }
  const states: readonly HealthStatus[] = statuses;
  return states.reduce<HealthStatus>((worst, each) => (SEVERITY[each] > SEVERITY[worst] ? each : worst), "healthy");
}

function isStatus(value: unknown): value is HealthStatus {
  return typeof value === "string" && Object.hasOwn(SEVERITY, value);
}

function isHealth(value: unknown): value is ComponentHealth {
  return typeof value === "object" && value !== null && isStatus((value as ComponentHealth).status);
}

function failed(name: string, reason: string): ComponentHealth {
  return { name, status: "unhealthy", message: `Health check failed: ${reason}` };
}

/** The check's own answer, or "too late" in its place. */
async function withinDeadline(name: string, check: PromiseLike<ComponentHealth>): Promise<ComponentHealth> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<ComponentHealth>((resolve) => {
    timer = setTimeout(() => resolve(failed(name, `no answer within ${CHECK_TIMEOUT_MS}ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([check, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function run(name: string, component: HealthCheckable): Promise<ComponentHealth> {
  try {
    const answer: unknown = component.getHealth();
    const isAsync = typeof (answer as PromiseLike<unknown> | undefined)?.then === "function";
    const health: unknown = isAsync ? await withinDeadline(name, answer as PromiseLike<ComponentHealth>) : answer;
    return isHealth(health) ? health : failed(name, "the answer has no status");
  } catch (error) {
    return failed(name, messageOf(error));
  }
}

/** Combines the health of several components of a node. */
export class HealthAggregator {
  readonly #nodeId: string;
  /** Components by their registered name, in the order of registration. */
  readonly #components = new Map<string, HealthCheckable>();
  readonly #startedMs = performance.now();

  /** @throws InvalidArgumentError INVALID_ARGUMENT if the node id is no usable name. */
  constructor(nodeId: string) {
    assertName("node id", nodeId);
    this.#nodeId = nodeId;
  }

  /**
   * Adds a component; the same name replaces the one before.
   *
   * @throws InvalidArgumentError INVALID_ARGUMENT if it has no `getHealth` or the name is none; nothing is registered then.
   */
  register(name: string, component: HealthCheckable): void {
    assertName("component name", name);
    if (typeof (component as HealthCheckable | undefined)?.getHealth !== "function") {
      throw new InvalidArgumentError(`component "${name}"`, "an object with a getHealth method", component);
    }
    this.#components.set(name, component);
  }

  /** Removes a component; false if there is none of that name. */
  unregister(name: string): boolean {
    return this.#components.delete(name);
  }

  /** Runs all checks. Resolves even if checks fail; an async check has 5 000 ms. */
  async getHealth(): Promise<HealthReport> {
    const components = await Promise.all([...this.#components].map(([name, component]) => run(name, component)));
    return {
      status: combineHealthStatus(components.map((each) => each.status)),
      timestamp: new Date(),
      nodeId: this.#nodeId,
      components,
      uptimeMs: performance.now() - this.#startedMs,
    };
  }

  /** Liveness: true, since the process answers. */
  isAlive(): boolean {
    return true;
  }

  /** Readiness: whether nothing is unhealthy; degraded still serves. */
  async isReady(): Promise<boolean> {
    const { status } = await this.getHealth();
    return status !== "unhealthy";
  }
}
