/**
 * libeam: Erlang/OTP for TypeScript. The public surface, listed by hand.
 */

export {
  type AuthenticatedGossipMessage,
  type Authenticator,
  CookieAuthenticator,
  type CookieAuthenticatorOptions,
  GOSSIP_PROTOCOL_VERSION,
  type GossipMessage,
  NullAuthenticator,
} from "./cluster/auth.js";
export type { Keyring } from "./cluster/cluster_keyring.js";
export { isClusterReady, type WaitForClusterOptions, waitForCluster } from "./cluster/cluster_ready.js";
export {
  createSystem,
  type DistributedSystem,
  type LocalConfig,
  type SupervisionConfig,
  type System,
} from "./cluster/create_system.js";
export { DistributedCluster } from "./cluster/distributed_cluster.js";
export type { DistributedConfig } from "./cluster/distributed_system.js";
export {
  type GossipConfig,
  type GossipKeys,
  type GossipOptions,
  type GossipPreset,
  GossipProtocol,
  GossipUDP,
  type GossipUDPConfig,
} from "./cluster/gossip.js";
export { InMemoryTransport } from "./cluster/in_memory_transport.js";
export { type CurveKeyPair, deriveKeys, fingerprint, z85Decode, z85Encode } from "./cluster/key_material.js";
export { KeyringAuthenticator } from "./cluster/keyring.js";
export { LocalCluster } from "./cluster/local_cluster.js";
export { LocalRegistry } from "./cluster/local_registry.js";
export { DistributedRegistry, RegistrySync } from "./cluster/names.js";
export { VectorClock } from "./cluster/vector_clock.js";
export { ZeroMQTransport, type ZeroMQTransportOptions } from "./cluster/zeromq_transport.js";
export type { TransportRefusal } from "./errors.js";
export {
  ActorClassNotRegisteredError,
  ActorHasChildrenError,
  ActorLimitError,
  ActorNotFoundError,
  ActorNotMigratableError,
  AuthenticationError,
  CallAbortedError,
  CookieRotationError,
  InvalidArgumentError,
  InvalidCookieError,
  InvalidOptionError,
  LibeamError,
  MailboxFullError,
  MaxChildrenError,
  MigrationFailedError,
  MigrationInProgressError,
  NameAlreadyRegisteredError,
  NameReservationError,
  NodeDownError,
  NoRoleMatchError,
  PeerNotFoundError,
  PlacementError,
  RegistryLookupError,
  SelfCallError,
  StageError,
  StashFullError,
  StateSerializationTimeoutError,
  SubscriptionError,
  SystemShuttingDownError,
  TimeoutError,
  TimerLimitError,
  TransportError,
  UnknownCallMethodError,
} from "./errors.js";
export { ActorId } from "./kernel/actor_id.js";
export { ActorRef, TypedActorRef } from "./kernel/actor_ref.js";
export type {
  ActorLocation,
  AnswerInstead,
  Cluster,
  ClusterPeer,
  LoopState,
  MessageHandler,
  NameConflict,
  NameReservation,
  PeerState,
  PeerStatus,
  Registry,
  RequestHandler,
  Subscription,
  Transport,
  Waiter,
} from "./kernel/collaborators.js";
export type { LoopBlock, LoopHolder } from "./kernel/event_loop.js";
export {
  type DownMessage,
  type ExitMessage,
  type InfoMessage,
  LinkRef,
  type MovedMessage,
  type TerminationReason,
  type TimeoutMessage,
  TimerRef,
  WatchRef,
} from "./kernel/info.js";
export { type InitContinue, isInitContinue } from "./kernel/lifecycle.js";
export {
  consoleLogHandler,
  createLogger,
  type LogContext,
  type LogEntry,
  Logger,
  type LogHandler,
  type LogLevel,
  loggerConfig,
} from "./kernel/logger.js";
export {
  type BackoffOptions,
  type CallOptions,
  type ChildSupervisionOptions,
  type ChildSupervisionStrategy,
  DEFAULT_CHILD_SUPERVISION,
  DEFAULT_MAILBOX_CONFIG,
  type MailboxConfig,
  type MailboxOverflowStrategy,
  type ShutdownOptions,
  type SupervisionOptions,
  type SupervisionStrategy,
  type SystemTimeouts,
} from "./kernel/options.js";
export {
  type EventName,
  type Measurements,
  type Metadata,
  TelemetryEvents,
  type TelemetryHandler,
  telemetry,
} from "./kernel/telemetry.js";
export { Actor, type ActorClass, isMigratable, type Migratable } from "./stdlib/actor.js";
export type { ActorRegistry } from "./stdlib/actor_registry.js";
export {
  type ActorInfo,
  ActorSystem,
  type DrainOptions,
  type DrainResult,
  type RemoteChildEntry,
} from "./stdlib/actor_system.js";
export { Agent } from "./stdlib/agent.js";
export { BoundedMailbox } from "./stdlib/bounded_mailbox.js";
export { type CombinedRef, combineRefs } from "./stdlib/combine_refs.js";
export {
  type ActorBuilder,
  type ActorContext,
  type ActorDefinition,
  type ActorRefFrom,
  createActor,
  type ExtractCalls,
  type ExtractCasts,
  type InfoMessages,
} from "./stdlib/create_actor.js";
export {
  type ChildCounts,
  type ChildInfo,
  DynamicSupervisor,
  type DynamicSupervisorOptions,
} from "./stdlib/dynamic_supervisor.js";
export { Consumer, type ConsumerCallbacks } from "./stdlib/gen_stage/consumer.js";
export {
  type ChildSpec,
  ConsumerSupervisor,
  type ConsumerSupervisorOptions,
} from "./stdlib/gen_stage/consumer_supervisor.js";
export type { Dispatcher, DispatchTarget } from "./stdlib/gen_stage/dispatcher.js";
export type { PartitionHashFunction } from "./stdlib/gen_stage/dispatchers/partition.js";
export { SubscriptionRef } from "./stdlib/gen_stage/inlet.js";
export { IterableConsumer, type ReadingOptions } from "./stdlib/gen_stage/iterable_consumer.js";
export type {
  CancelMode,
  DemandMode,
  DispatcherConfig,
  ProducerOptions,
  StageSource,
  SubscriptionOptions,
} from "./stdlib/gen_stage/options.js";
export type { SubscriptionStats } from "./stdlib/gen_stage/outlet.js";
export type { PipelineSink } from "./stdlib/gen_stage/pipeline/sink.js";
export type { PartitionKey } from "./stdlib/gen_stage/pipeline/steps.js";
export {
  Pipeline,
  type PipelineOptions,
  type PipelineStreamOptions,
  pipeline,
  type RunOptions,
} from "./stdlib/gen_stage/pipeline.js";
export { type FromOptions, type Produced, Producer, type ProducerCallbacks } from "./stdlib/gen_stage/producer.js";
export { ProducerConsumer, type ProducerConsumerCallbacks } from "./stdlib/gen_stage/producer_consumer.js";
export type { SubscriptionEnd } from "./stdlib/gen_stage/protocol.js";
export type { ProducerSource } from "./stdlib/gen_stage/source.js";
export type { StageStats } from "./stdlib/gen_stage/stage.js";
export type { ReadOptions, StreamOptions } from "./stdlib/gen_stage/streams.js";
export {
  type ComponentHealth,
  combineHealthStatus,
  HealthAggregator,
  type HealthCheckable,
  type HealthReport,
  type HealthStatus,
} from "./stdlib/health.js";
export {
  DEFAULT_HEARTBEAT_CONFIG,
  type HeartbeatConfig,
  HeartbeatManager,
  type HeartbeatPeerState,
  type HeartbeatPing,
  type HeartbeatPong,
} from "./stdlib/heartbeat.js";
export type { StashedMessage } from "./stdlib/mailbox_control.js";
export {
  type LoadSource,
  type PlacementContext,
  PlacementEngine,
  type PlacementFunction,
  type PlacementStrategy,
  type PlacementSubject,
} from "./stdlib/placement.js";
export { type GroupMember, ProcessGroupManager } from "./stdlib/process_groups.js";
export type { RegisterNameOptions } from "./stdlib/registered_names.js";
export type { Spawner, SpawnOptions } from "./stdlib/spawn_options.js";
export type { SystemLimits } from "./stdlib/system_limits.js";
// What is for tests has an entry of its own, libeam/testing; programs that were written for one entry find it here.
export {
  allocatePorts,
  FaultyGossipUDP,
  FaultyTransport,
  NodeAgent,
  type NodeAgentCalls,
  type NodeAgentRef,
  type NodeAgentSpawnOptions,
  type NodeInfo,
  type NodePorts,
  type NodeWorkerBootMessage,
  type NodeWorkerCallMessage,
  type NodeWorkerDoneMessage,
  type NodeWorkerErrorMessage,
  type NodeWorkerHealMessage,
  type NodeWorkerMessage,
  type NodeWorkerPartitionMessage,
  type NodeWorkerReadyMessage,
  type NodeWorkerResponse,
  type NodeWorkerShutdownMessage,
  TestCluster,
  type TestClusterConfig,
  type TestNodeHandle,
} from "./testing/index.js";
