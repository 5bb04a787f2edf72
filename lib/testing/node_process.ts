/**
 * One node of a TestCluster as its parent sees it: a process with an IPC channel. See node_protocol.ts.
 */

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { LibeamError, TimeoutError } from "../errors.js";
import type {
  NodeWorkerBootMessage,
  NodeWorkerCallMessage,
  NodeWorkerErrorMessage,
  NodeWorkerHealMessage,
  NodeWorkerMessage,
  NodeWorkerPartitionMessage,
  NodeWorkerReadyMessage,
  NodeWorkerResponse,
} from "./node_protocol.js";
import { workerEntry } from "./type_script.js";

/** Milliseconds after which a node that was asked to end is killed. */
const PATIENCE_MS = 10_000;

/** An order that is not carried out yet. */
interface Waiting {
  resolve: (reply: Uint8Array | undefined) => void;
  reject: (error: unknown) => void;
}

type Order = Omit<NodeWorkerPartitionMessage, "number"> | Omit<NodeWorkerHealMessage, "number">;

/** See the module's header. */
export class NodeProcess {
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  private readonly child: ChildProcess;
  private readonly ready: Promise<NodeWorkerReadyMessage>;
  /** Orders that are not carried out yet, by number. */
  private readonly orders = new Map<number, Waiting>();
  private numbers = 0;

  /** @throws LibeamError (NODE_START_FAILED) if there can be no further process */
  constructor(
    readonly nodeId: string,
    flags: string[],
  ) {
    this.child = this.fork(flags);
    const { child } = this;
    this.ended = new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => child.pid === undefined && resolve());
    });
    this.ready = new Promise((resolve, reject) => {
      child.on("message", (response: NodeWorkerResponse) => {
        if (response.type === "ready") resolve(response);
        else if (response.type === "error") reject(this.startError(response));
        else this.orders.get(response.number)?.resolve(response.reply);
      });
      child.once("error", (error) => reject(this.startError(error)));
      void this.ended.then(() => reject(this.startError({ message: "its process has ended" })));
    });
    this.ready.catch(() => {}); // Whoever boots is told.
    void this.ended.then(() => {
      for (const { reject } of this.orders.values()) reject(this.notRunning());
      this.orders.clear();
    });
  }

  private fork(flags: string[]): ChildProcess {
    try {
      return fork(fileURLToPath(workerEntry()), [], {
        execArgv: flags,
        serialization: "advanced",
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      });
    } catch (error) {
      throw this.startError(error as Error);
    }
  }

  /** Starts the node; resolves when it sees all others. @throws LibeamError (NODE_START_FAILED) */
  boot(message: NodeWorkerBootMessage): Promise<NodeWorkerReadyMessage> {
    this.send(message);
    return this.ready;
  }

  /** Makes or ends cuts. @throws LibeamError (NODE_NOT_RUNNING), TimeoutError */
  async order(order: Order): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new TimeoutError(`${order.type} of ${this.nodeId}`, PATIENCE_MS)), PATIENCE_MS);
    });
    try {
      await Promise.race([this.ask(order), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls a named actor; the request and the reply are encoded. @throws LibeamError (NODE_NOT_RUNNING) */
  async call(request: Uint8Array): Promise<Uint8Array> {
    return (await this.ask({ type: "call", request })) as Uint8Array;
  }

  private ask(order: Order | Omit<NodeWorkerCallMessage, "number">): Promise<Uint8Array | undefined> {
    if (!this.isRunning) return Promise.reject(this.notRunning());
    const number = ++this.numbers;
    const asked = new Promise<Uint8Array | undefined>((resolve, reject) =>
      this.orders.set(number, { resolve, reject }),
    );
    this.send({ ...order, number } as NodeWorkerMessage);
    return asked.finally(() => this.orders.delete(number));
  }

  /** Whether the process lives. */
  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null && this.child.connected;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends the process in good order, or by force if that takes too long; resolves when it has ended. */
  async end(): Promise<void> {
    if (this.isRunning) this.send({ type: "shutdown" });
    else this.child.kill("SIGKILL");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), PATIENCE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  private send(message: NodeWorkerMessage): void {
    if (this.child.connected) this.child.send(message, () => {}); // That it has ended is told by `ended`.
  }

  private notRunning(): LibeamError {
    return new LibeamError(`Node ${this.nodeId} does not run`, "NODE_NOT_RUNNING", { nodeId: this.nodeId });
  }

  private startError({ message, code, stack }: Omit<NodeWorkerErrorMessage, "type">): LibeamError {
    const text = `Test node ${this.nodeId} could not be started: ${message}`;
    const cause = stack === undefined ? undefined : { cause: Object.assign(new Error(message), { stack }) };
    return new LibeamError(text, "NODE_START_FAILED", { nodeId: this.nodeId, ...(code ? { code } : {}) }, cause);
  }
}
