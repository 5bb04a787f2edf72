/**
 * A cluster of one: this node, alive, with every role.
 *
 * For systems that talk to nobody. Membership never changes, so the emitter is there for the interface's sake and
 * emits nothing. Roles do not matter with a single node: whatever role is asked for, this node is the answer.
 */

import { EventEmitter } from "node:events";
import type { Cluster, ClusterPeer } from "../kernel/collaborators.js";
import { assertName } from "../kernel/validate.js";
import type { ComponentHealth, HealthCheckable } from "../stdlib/health.js";

/** Membership of a node that is on its own. */
export class LocalCluster extends EventEmitter implements Cluster, HealthCheckable {
  /** Id of this node. */
  readonly nodeId: string;

  /** @throws InvalidArgumentError INVALID_ARGUMENT if the node id is no usable name. */
  constructor(nodeId: string) {
    super();
    assertName("node id", nodeId);
    this.nodeId = nodeId;
  }

  /** This node. */
  getMembers(): string[] {
    return [this.nodeId];
  }

  /** This node, alive. */
  getLivePeers(): ClusterPeer[] {
    return [{ id: this.nodeId, status: "alive" }];
  }

  /** This node, for any role. */
  getMembersByRole(_role: string): string[] {
    return [this.nodeId];
  }

  /** Always healthy. */
  getHealth(): ComponentHealth {
    return {
      name: "LocalCluster",
      status: "healthy",
      message: "Local cluster with a single node",
      details: { peerCount: 1, peers: this.getMembers() },
    };
  }
}
