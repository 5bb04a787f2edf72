/**
 * Types of options: whatever may be left out may be `undefined` as well, which means the same. Programs with
 * `exactOptionalPropertyTypes` pass on what they have, such as a variable of the environment.
 */

import {
  type ActorContext,
  type AuthenticatedGossipMessage,
  type CallOptions,
  type ChildSpec,
  type ComponentHealth,
  type ConsumerCallbacks,
  type ConsumerSupervisorOptions,
  type CookieAuthenticatorOptions,
  createActor,
  createSystem,
  type DispatcherConfig,
  type DistributedConfig,
  type DrainOptions,
  type DynamicSupervisorOptions,
  type ExitMessage,
  type FromOptions,
  type GossipConfig,
  type GossipOptions,
  type GossipUDPConfig,
  type HeartbeatManager,
  type LocalConfig,
  type LogContext,
  type LogEntry,
  type Logger,
  type loggerConfig,
  type MailboxConfig,
  type NodeAgentSpawnOptions,
  type PipelineOptions,
  type PipelineStreamOptions,
  type PlacementSubject,
  type ProducerCallbacks,
  type ProducerConsumerCallbacks,
  type ProducerOptions,
  type ReadingOptions,
  type ReadOptions,
  type RegisterNameOptions,
  type RunOptions,
  type ShutdownOptions,
  type SpawnOptions,
  type StashedMessage,
  type StreamOptions,
  type SubscriptionOptions,
  type SupervisionConfig,
  type SystemLimits,
  type SystemTimeouts,
  type TestClusterConfig,
  type WaitForClusterOptions,
  type ZeroMQTransportOptions,
} from "libeam";
import { describe, expectTypeOf, test } from "vitest";

/** Keys that may be left out, but not be `undefined`. */
type Exact<T> = T extends unknown
  ? { [K in keyof T]-?: undefined extends Required<T>[K] ? never : T extends Record<K, unknown> ? never : K }[keyof T]
  : never;

describe("an option", () => {
  test("is left out when it is undefined", () => {
    expectTypeOf<Exact<{ a?: number; b: number; c?: number | undefined }>>().toEqualTypeOf<"a">();
    expectTypeOf<Exact<LocalConfig | DistributedConfig | NonNullable<DistributedConfig["ports"]>>>().toBeNever();
    expectTypeOf<Exact<SupervisionConfig | NonNullable<SupervisionConfig["backoff"]>>>().toBeNever();
    expectTypeOf<Exact<MailboxConfig | SystemTimeouts | SystemLimits | WaitForClusterOptions>>().toBeNever();
    expectTypeOf<Exact<CallOptions | ShutdownOptions | DrainOptions | SpawnOptions>>().toBeNever();
    expectTypeOf<Exact<RegisterNameOptions | PlacementSubject | NodeAgentSpawnOptions>>().toBeNever();
    expectTypeOf<Exact<NonNullable<Parameters<ActorContext["become"]>[1]>>>().toBeNever();
    expectTypeOf<Exact<DynamicSupervisorOptions | ConsumerSupervisorOptions | ChildSpec>>().toBeNever();
    expectTypeOf<Exact<ProducerCallbacks | ProducerConsumerCallbacks | ConsumerCallbacks>>().toBeNever();
    expectTypeOf<Exact<ProducerOptions | DispatcherConfig | SubscriptionOptions | FromOptions>>().toBeNever();
    expectTypeOf<Exact<ReadingOptions | ReadOptions | StreamOptions | RunOptions>>().toBeNever();
    expectTypeOf<Exact<PipelineOptions | PipelineStreamOptions>>().toBeNever();
    expectTypeOf<Exact<GossipConfig | GossipOptions | GossipUDPConfig | ZeroMQTransportOptions>>().toBeNever();
    expectTypeOf<Exact<CookieAuthenticatorOptions | TestClusterConfig>>().toBeNever();
    expectTypeOf<Exact<NonNullable<ConstructorParameters<typeof HeartbeatManager>[3]>>>().toBeNever();
    expectTypeOf<Exact<Parameters<typeof loggerConfig.configure>[0] | Parameters<Logger["child"]>[0]>>().toBeNever();
    expectTypeOf<Exact<ComponentHealth | LogContext | LogEntry | StashedMessage>>().toBeNever();
    expectTypeOf<Exact<AuthenticatedGossipMessage | ExitMessage>>().toBeNever();
  });

  test("may come from the environment", () => {
    const { env } = process;
    const port = env.PORT === undefined ? undefined : Number(env.PORT);
    createSystem({ type: "distributed", seedNodes: [], cookie: env.COOKIE, nodeId: env.NAME, port, ready: undefined });
    const system = createSystem({ nodeId: env.NAME, supervision: { maxRestarts: port, backoff: { jitter: port } } });
    const Echo = createActor((_ctx, self) => {
      self.childSupervision({ periodMs: port });
      return self.onCall("echo", (text: string) => text);
    });
    const echo = system.spawn(Echo, { name: env.NAME, role: env.ROLE, mailbox: { maxSize: port } });
    expectTypeOf(echo.call("echo", "", { timeout: port, signal: undefined })).toEqualTypeOf<Promise<string>>();
  });
});
