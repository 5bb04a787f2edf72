/** What a shutdown did not wait for any longer, for the log. */

import type { ActorCell } from "../kernel/cell.js";
import type { Logger } from "../kernel/logger.js";
import { FLAG_RUNNING } from "../kernel/protocol.js";

/** Actors that are named at most. */
const NAMED_MAX = 10;

/** What there was when a shutdown stopped waiting. */
export interface Unfinished {
  /** Time that the shutdown had, in milliseconds. */
  timeoutMs: number;
  /** Messages that waited in mailboxes. */
  messages: number;
  /** Actors that had not ended. */
  actors: ActorCell[];
}

/** Warns of what is lost, and names those whose handlers run first: they are what was waited for. */
export function reportUnfinished(log: Logger, { timeoutMs, messages, actors }: Unfinished): void {
  if (messages === 0 && actors.length === 0) return;
  const parts: string[] = [];
  if (messages > 0) parts.push(`${messages} ${messages === 1 ? "message was" : "messages were"} not handled`);
  if (actors.length > 0) parts.push(`${actors.length} ${actors.length === 1 ? "actor is" : "actors are"} killed`);
  const named = [...actors].sort((a, b) => running(b) - running(a)).slice(0, NAMED_MAX);
  log.warn(`Shutdown had ${timeoutMs} ms and waits no longer: ${parts.join(", ")}`, { actors: named.map(describe) });
}

function running(cell: ActorCell): number {
  return cell.flags & FLAG_RUNNING;
}

function describe(cell: ActorCell): string {
  const { name, definition, id } = cell;
  const who = name === undefined ? `${definition.className} ${id.id}` : `${definition.className} "${name}" ${id.id}`;
  return running(cell) === 0 ? who : `${who}, in a handler`;
}
