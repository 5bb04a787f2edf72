/**
 * `libeam/testing`: clusters of real processes for tests, and networks that fail on demand.
 */

export { FaultyGossipUDP } from "./faulty_gossip.js";
export { FaultyTransport } from "./faulty_transport.js";
export {
  NodeAgent,
  type NodeAgentCalls,
  type NodeAgentRef,
  type NodeAgentSpawnOptions,
  type NodeInfo,
} from "./node_agent.js";
export type {
  NodeWorkerBootMessage,
  NodeWorkerCallMessage,
  NodeWorkerDoneMessage,
  NodeWorkerErrorMessage,
  NodeWorkerHealMessage,
  NodeWorkerMessage,
  NodeWorkerPartitionMessage,
  NodeWorkerReadyMessage,
  NodeWorkerResponse,
  NodeWorkerShutdownMessage,
} from "./node_protocol.js";
export { allocatePorts, type NodePorts } from "./ports.js";
export { TestCluster, type TestClusterConfig, type TestNodeHandle } from "./test_cluster.js";
