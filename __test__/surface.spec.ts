/**
 * The public surface: what `import ... from "libeam"`, and from "libeam/testing", gives at run time. A change here is a change for users.
 */

import { expect, it, vi } from "vitest";
import * as libeam from "../lib/index.js";
import * as testing from "../lib/testing/index.js";

it("exports exactly these names", () => {
  expect(Object.keys(libeam).sort()).toMatchInlineSnapshot(`
    [
      "Actor",
      "ActorClassNotRegisteredError",
      "ActorHasChildrenError",
      "ActorId",
      "ActorLimitError",
      "ActorNotFoundError",
      "ActorNotMigratableError",
      "ActorRef",
      "ActorSystem",
      "Agent",
      "AuthenticationError",
      "BoundedMailbox",
      "CallAbortedError",
      "Consumer",
      "ConsumerSupervisor",
      "CookieAuthenticator",
      "CookieRotationError",
      "DEFAULT_CHILD_SUPERVISION",
      "DEFAULT_HEARTBEAT_CONFIG",
      "DEFAULT_MAILBOX_CONFIG",
      "DistributedCluster",
      "DistributedRegistry",
      "DynamicSupervisor",
      "FaultyGossipUDP",
      "FaultyTransport",
      "GOSSIP_PROTOCOL_VERSION",
      "GossipProtocol",
      "GossipUDP",
      "HealthAggregator",
      "HeartbeatManager",
      "InMemoryTransport",
      "InvalidArgumentError",
      "InvalidCookieError",
      "InvalidOptionError",
      "IterableConsumer",
      "KeyringAuthenticator",
      "LibeamError",
      "LinkRef",
      "LocalCluster",
      "LocalRegistry",
      "Logger",
      "MailboxFullError",
      "MaxChildrenError",
      "MigrationFailedError",
      "MigrationInProgressError",
      "NameAlreadyRegisteredError",
      "NameReservationError",
      "NoRoleMatchError",
      "NodeAgent",
      "NodeDownError",
      "NullAuthenticator",
      "PeerNotFoundError",
      "Pipeline",
      "PlacementEngine",
      "PlacementError",
      "ProcessGroupManager",
      "Producer",
      "ProducerConsumer",
      "RegistryLookupError",
      "RegistrySync",
      "SelfCallError",
      "StageError",
      "StashFullError",
      "StateSerializationTimeoutError",
      "SubscriptionError",
      "SubscriptionRef",
      "SystemShuttingDownError",
      "TelemetryEvents",
      "TestCluster",
      "TimeoutError",
      "TimerLimitError",
      "TimerRef",
      "TransportError",
      "TypedActorRef",
      "UnknownCallMethodError",
      "VectorClock",
      "WatchRef",
      "ZeroMQTransport",
      "allocatePorts",
      "combineHealthStatus",
      "combineRefs",
      "consoleLogHandler",
      "createActor",
      "createLogger",
      "createSystem",
      "deriveKeys",
      "fingerprint",
      "isClusterReady",
      "isInitContinue",
      "isMigratable",
      "loggerConfig",
      "pipeline",
      "telemetry",
      "waitForCluster",
      "z85Decode",
      "z85Encode",
    ]
  `);
});

it("exports exactly these names for tests", () => {
  expect(Object.keys(testing).sort()).toMatchInlineSnapshot(`
    [
      "FaultyGossipUDP",
      "FaultyTransport",
      "NodeAgent",
      "TestCluster",
      "allocatePorts",
    ]
  `);
});

it("has everything of libeam/testing as well, and the same", () => {
  for (const [name, value] of Object.entries(testing)) expect((libeam as Record<string, unknown>)[name]).toBe(value);
});

it("asks for no current folder when it is imported, which a runtime may deny", async () => {
  const cwd = vi.spyOn(process, "cwd").mockImplementation(() => {
    throw new Error("denied");
  });
  vi.resetModules();
  try {
    expect(await import("../lib/testing/type_script.js")).toHaveProperty("workerEntry");
  } finally {
    cwd.mockRestore();
  }
});
