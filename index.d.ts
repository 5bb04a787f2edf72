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

/** What the addon exports. */
export interface NativeBinding {
  /** Makes a kernel. `onBell` is called when something from another thread waits for `enter`. */
  createKernel(options: NativeKernelOptions, onBell: () => void): NativeKernel;
  /** Every number that both sides must agree on, by name. */
  protocolTable(): Record<string, number>;
  /** Names of the numbers that the counters operation lists. */
  counterNames(): string[];
}

/** What `loadNative` asks of the process; a test passes its own. */
export interface LoadNativeOptions {
  platform?: string;
  arch?: string;
  env?: Record<string, string | undefined>;
  report?: unknown;
  require?: (id: string) => unknown;
  root?: string;
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
