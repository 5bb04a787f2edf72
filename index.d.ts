/** Types of index.js, the loader of the native addon. */

/** What a kernel is asked to be; limits that are left out have the defaults of the core. */
export interface NativeKernelOptions {
  /** Live actors at most. */
  actorsMax?: number;
  /** Timers of one actor at most. */
  timersPerActorMax?: number;
  /** Stashed messages of one actor at most. */
  stashMessagesMax?: number;
  /** Timeout of calls that name none, in milliseconds; 4294967295 is for ever. */
  callTimeoutMs?: number;
  /** How long an exit waits for a handler or `terminate`, in milliseconds; 4294967295 is for ever. */
  stopTimeoutMs?: number;
  /** Seed of the jitter of restart delays. */
  seed?: number;
}

/** One kernel. The memory and the functions live until its environment ends. */
export interface NativeKernel {
  /** Number of this kernel in the process. */
  readonly id: number;
  /** Header, submission queue and completion queue. */
  readonly page: Uint32Array;
  /** Consumes the submission queue and fills the completion queue. */
  enter(): void;
  /** Consumes the submission queue. */
  submit(): void;
  /** Takes the next message of the actor in the first argument word; the first result word says if there is one. */
  next(): void;
  /** Performs an operation with the arguments in the header. */
  control(op: number): void;
  /** The same for operations that need a name. */
  controlText(op: number, text: string): void;
  /** A copy of what the last listing operation found. */
  listing(): Uint32Array;
  /** The state words of a chunk of actors. */
  chunk(index: number): Uint32Array | undefined;
  /** Ends the kernel: its functions do nothing afterwards. */
  dispose(): void;
}

/** What counts as overdue, in milliseconds. */
export interface NativeLoopOptions {
  /** A loop that does not answer for this long is busy. */
  busyMs: number;
  /** A loop that does not answer for this long hangs. */
  hungMs: number;
  /** From an answer to the next question. */
  intervalMs: number;
}

/** Asks the loop of its isolate whether it turns, until `stop`. Does not keep the process up. */
export interface NativeLoopWatch {
  /** One word: 0 while the loop answers in time. */
  word(): Uint32Array;
  /** The loop answers; tells of the block that ends with it. */
  answer(): { blockedMs: number; worst: "busy" | "hung" } | null;
  /** Ends the questions. */
  stop(): void;
}

/** How a node takes part in a cluster. */
export interface NativeGossipOptions {
  /** Names the node. */
  id: string;
  /** Names this life, in milliseconds since 1970. */
  epoch: number;
  /** What the node says about itself; at most 512 bytes. */
  meta: Uint8Array;
  /** Where to listen, `ip:port`; port 0 is any free one. */
  bind: string;
  /** Where others reach this node; the address that it listens at unless given. */
  advertise?: string;
  /** `host:port`, or `dns:name:port`. */
  seeds: string[];
  /** Keys of the cluster; the first one seals. None is an open cluster. */
  keys: NativeKey[];
  /** How fast and how patient the node is. */
  preset: "fast" | "lan" | "wan";
  /** Replaces the preset's probe interval, in milliseconds. */
  probeIntervalMs?: number;
  /** Replaces the preset's shortest suspicion with up to ten nodes, in milliseconds. */
  suspicionMs?: number;
  /** Replaces the preset's number of members told per round. */
  fanout?: number;
  /** Of the machine's dice. */
  seed: number;
  /** Nodes that a test has cut off, from the start; addresses are `ip:port` of their datagrams. */
  blocked: { id: string; address: string }[];
}

/** A secret of the cluster. */
export interface NativeKey {
  /** Tells keys apart; 1 to 255. */
  id: number;
  secret: Uint8Array;
}

/** What is known of a member. */
export interface NativeMember {
  id: string;
  /** Its life. */
  epoch: number;
  /** Raised by the node itself to contradict. */
  incarnation: number;
  status: "alive" | "suspect" | "dead" | "left";
  /** `ip:port` of its datagrams. */
  address: string;
  /** What it says about itself. */
  meta: Uint8Array;
  /** How its event loop does. */
  eventLoop: "ok" | "busy" | "hung";
}

/** Something has happened to a member. */
export interface NativeMemberEvent {
  kind: "up" | "suspect" | "recovered" | "updated" | "restarted" | "left" | "dead" | "superseded" | "conflict";
  member: NativeMember;
}

/** What keeps nodes apart: where, and a sentence for the log. */
export interface NativeTrouble {
  about: string;
  what: string;
}

/** A node's membership, its sockets and its thread. Keeps the process up until `stop`. */
export interface NativeGossip {
  /** Where others reach this node, `ip:port`. */
  readonly address: string;
  /** Fetches what has happened. With `lost`, events were dropped, and only `members` is right. */
  takeNews(): { events: NativeMemberEvent[]; lost: boolean; gone: boolean; troubles: NativeTrouble[] };
  /** All members but this node, dead ones included. */
  members(): NativeMember[];
  /** Packets that were not let in. */
  rejected(): number;
  /** Changes what this node says about itself. */
  setMeta(meta: Uint8Array): void;
  /** Has the others told how an event loop does, as long as it is watched. */
  followLoop(watch: NativeLoopWatch): void;
  /** Says goodbye; `gone` in the news tells when that is done. */
  leave(): void;
  /** Tells that a member's connection was refused, or that it has just sent something. */
  hint(id: string, refused: boolean): void;
  /** Accepts a further key. */
  installKey(key: NativeKey): void;
  /** Seals with a key that is installed. */
  activateKey(id: number): void;
  /** Accepts a key no longer, unless it is the one that seals. */
  removeKey(id: number): void;
  /** Loses everything to and from a node from now on; for tests. `address` is `ip:port` of its datagrams. */
  block(id: string, address: string): void;
  /** Ends that, for one node or for all. */
  unblock(id?: string): void;
  /** Closes the sockets and ends the thread, without a goodbye. */
  stop(): void;
}

/** Keys of the transport, in Z85. */
export interface NativeCurveKeys {
  /** The pair that all nodes share: they listen and dial with it. */
  publicKey: string;
  secretKey: string;
  /** Further public keys that others may listen and dial with, while keys are changed. */
  accepted: string[];
}

/** How a node is connected to others. */
export interface NativeLinkOptions {
  nodeId: string;
  /** Names this life, in milliseconds since 1970. A node with a later life is let in, one with an earlier is not. */
  epoch: number;
  /** Nodes of another cluster are refused. */
  cluster: string;
  /** Where to listen, `ip:port`; port 0 is any free one. */
  bind: string;
  /** Without keys everybody may connect, and nothing is encrypted. */
  keys?: NativeCurveKeys;
}

/** Something has happened to a connection. */
export interface NativeLinkEvent {
  /** `down`: what the node had not received is lost. `refused`: once per cause; `node` may be an address. */
  kind: "up" | "down" | "refused";
  node: string;
  /** The node's life; 0 if it was refused. */
  epoch: number;
  reason?: string;
}

/** A node's connections, their sockets and their thread. Keeps the process up until `stop`. */
export interface NativeLink {
  /** Where this node listens, `ip:port`. */
  readonly address: string;
  /** Connects to a node at `ip:port`, and stays with it until `disconnect`. What is sent before `up` waits. */
  connect(nodeId: string, address: string): void;
  /** Ends the connection to a node, after what waits for it. */
  disconnect(nodeId: string): void;
  /** Whether a node speaks to this one that was not disconnected since: no last words of one that is gone. */
  hears(nodeId: string): boolean;
  /**
   * Sends a message. Never waits. Gives the bytes that may still wait for that node, or -1 if its queue is full, -2 if there
   * is no such peer, -3 if the message is too big.
   */
  send(nodeId: string, message: Uint8Array): number;
  /**
   * Sends a frame of messages, each with a 32-bit little-endian length before it, which is the bytes up to `end`: all or none;
   * otherwise as `send`.
   */
  sendFrame(nodeId: string, bytes: Uint8Array, end: number): number;
  /** Bytes that may still wait for a node, or -2 if there is no such peer. */
  room(nodeId: string): number;
  /** Changes the keys. Connections stay; new ones are made with the new pair. */
  setKeys(keys: NativeCurveKeys): void;
  /**
   * Writes frames that have come into a buffer; `onNews` comes again if there are more. While much waits, nothing is read from
   * the network. The first byte has flags: 1 events wait, 2 the loop is to ask `idle` in its next turn and to go on as that
   * says, for `onNews` does not come meanwhile. From the fifth byte on, each frame has two 32-bit little-endian numbers before
   * it: its sender's and its length; and each message in it the latter. Gives how many bytes were written, or, negative, how
   * big the buffer has to be for the next frame.
   */
  takeFrames(into: Uint8Array): number;
  /** The node with such a number. */
  sender(number: number): string;
  /** Fetches what has happened. */
  takeEvents(): NativeLinkEvent[];
  /** What to do while awake: 0 ask again in the loop's next turn, 1 fetch the news, 2 wait for `onNews`. */
  idle(): 0 | 1 | 2;
  /** Begins the end: what waits is sent for up to a second, and nothing more is taken. */
  end(): void;
  /** Whether the sockets are closed and the thread is gone, so that `stop` does not wait. */
  hasEnded(): boolean;
  /** Closes the sockets and ends the thread; what waits is sent first, for up to a second. */
  stop(): void;
}

/** The keys that follow from a cookie. */
export interface NativeKeys {
  /** Seals gossip. */
  hmacKey: Buffer;
  /** Public key of the transport, in Z85. */
  publicKey: string;
  /** Secret key of the transport, in Z85. */
  secretKey: string;
}

/** What the addon exports. */
export interface NativeBinding {
  /** Binds a node's sockets and starts. `onNews` is called when there is something to fetch. */
  startGossip(options: NativeGossipOptions, onNews: () => void): NativeGossip;
  /** Binds a node's listening socket and starts. `onNews` is called when there is something to fetch. */
  startLink(options: NativeLinkOptions, onNews: () => void): NativeLink;
  /** Starts to ask the event loop whether it turns. `onAsk` has to call `answer`. */
  startLoopWatch(options: NativeLoopOptions, onAsk: () => void): NativeLoopWatch;
  /** Makes a kernel. `onBell` is called when something from another thread waits for `enter`. */
  createKernel(options: NativeKernelOptions, onBell: () => void): NativeKernel;
  /** Every number that both sides must agree on, by name. */
  protocolTable(): Record<string, number>;
  /** Names of the numbers that the counters operation lists. */
  counterNames(): string[];
  /** Derives the keys of the cluster that has this cookie and this salt. */
  deriveKeys(cookie: string, salt: string): NativeKeys;
  /** Writes bytes as Z85; throws if they are not groups of four. */
  z85Encode(data: Uint8Array): string;
  /** Reads Z85; throws if it is none. */
  z85Decode(text: string): Buffer;
  /** SHA-256 of a public key in Z85, in hexadecimal; throws if it is none. */
  fingerprint(publicKey: string): string;
}

/** What `loadNative` asks of the process; a test passes its own. */
export interface LoadNativeOptions {
  platform?: string;
  arch?: string;
  env?: Record<string, string | undefined>;
  report?: unknown;
  require?: (id: string) => unknown;
  root?: string;
  /** Gives the text of /proc/cpuinfo. */
  cpuinfo?: () => string;
}

/** The platforms that a binary is published for. */
export declare const PLATFORMS: readonly string[];

/** The platform names to try for a machine, most likely first. */
export declare function platformNames(machine: { platform: string; arch: string; report?: unknown }): string[];

/**
 * Loads the binding from LIBEAM_NATIVE_PATH, the platform's package, or a local build.
 *
 * @throws Error with the code `NATIVE_ADDON_NOT_LOADED`; the message lists each place tried and the remedy.
 */
export declare function loadNative(options?: LoadNativeOptions): NativeBinding;

declare const native: NativeBinding;
export default native;
