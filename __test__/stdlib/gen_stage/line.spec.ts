/**
 * Lines between stages of different nodes: numbers, repetitions, and when a line gives up. The listener is made by hand.
 */

import { ActorNotFoundError, loggerConfig, TransportError } from "libeam";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Ear, Line, type Saying, type Speaker } from "../../../lib/stdlib/gen_stage/line.js";
import { turns } from "../../support/time.js";

const PAUSE_MS_MAX = 640;
const REPEATS_MAX = 60;

beforeEach(() => {
  loggerConfig.configure({ level: "none" });
  vi.useFakeTimers({ toFake: ["setTimeout"] });
});
afterEach(() => void vi.useRealTimers());

/** A line to a listener that fails as `failure` says, before it has heard or behind that. */
function makeLine(speaker?: Speaker<string>) {
  const ear = new Ear();
  const told = {
    attempts: 0,
    taken: [] as string[],
    failure: undefined as ((message: string) => unknown) | undefined,
    answerLost: false,
  };
  const call = async (saying: Saying<string>): Promise<string> => {
    told.attempts++;
    const error = told.failure?.(saying.message);
    if (error !== undefined) throw error;
    const answer = ear.hear(saying, (message) => told.taken.push(message));
    if (told.answerLost) throw new TransportError("lost");
    return answer;
  };
  return { told, line: new Line<any>({ call } as any, speaker) };
}

const silentSpeaker: Speaker<string> = { instead: () => [], heard: () => {}, gone: () => {} };

/** So many pauses go by. */
async function pauses(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await turns();
    vi.advanceTimersByTime(PAUSE_MS_MAX);
  }
  await turns();
}

const lost = (): unknown => new TransportError("lost");
const unsendable = (): unknown => new TransportError("too long", "node", undefined, "unsendable");

describe("a line", () => {
  it("says everything at once, and is idle when all is heard", async () => {
    const heard = vi.fn();
    const { line, told } = makeLine({ ...silentSpeaker, heard });
    for (const message of ["a", "b", "c"]) line.say(message);
    expect([told.attempts, line.idle]).toEqual([3, false]);
    await turns();
    expect([told.taken, line.idle]).toEqual([["a", "b", "c"], true]);
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it("repeats what was not heard, in order, and nothing is taken twice", async () => {
    const { line, told } = makeLine();
    told.failure = (message) => (message === "b" ? lost() : undefined);
    for (const message of ["a", "b", "c"]) line.say(message);
    await pauses(2);
    expect(told.taken).toEqual(["a"]);
    told.failure = undefined;
    told.answerLost = true;
    line.say("d");
    await pauses(2);
    expect([told.taken, line.idle]).toEqual([["a", "b", "c", "d"], false]);
    told.answerLost = false;
    await pauses(1);
    expect([told.taken, line.idle]).toEqual([["a", "b", "c", "d"], true]);
  });

  it("says other things in place of what cannot be sent, before what comes behind it", async () => {
    const instead = (message: string): string[] => (message.length > 1 ? [...message] : []);
    const { line, told } = makeLine({ ...silentSpeaker, instead });
    told.failure = (message) => (message.length > 1 || message === "x" ? unsendable() : undefined);
    for (const message of ["a", "bxc", "d", "x", "ef"]) line.say(message);
    await pauses(2);
    expect([told.taken, line.idle]).toEqual([["a", "b", "c", "d", "e", "f"], true]);
  });

  it("goes on for as long as its speaker stays", async () => {
    const { line, told } = makeLine();
    told.failure = lost;
    line.say("a");
    await pauses(3 * REPEATS_MAX);
    told.failure = undefined;
    await pauses(1);
    expect([told.taken, line.idle]).toEqual([["a"], true]);
  });

  it("gives up after a while when its speaker has left, unless it comes back", async () => {
    const { line, told } = makeLine();
    told.failure = lost;
    line.leave();
    line.say("a");
    await pauses(REPEATS_MAX / 2);
    line.stay();
    await pauses(REPEATS_MAX);
    expect(line.idle).toBe(false);
    line.leave();
    await pauses(1);
    expect([line.idle, vi.getTimerCount()]).toEqual([true, 0]);
  });

  it.each(["is gone", "is not needed any more"])("says nothing more when the other stage %s", async (why) => {
    const { line, told } = makeLine();
    told.failure = lost;
    line.say("a");
    await turns();
    if (why === "is gone") told.failure = () => new ActorNotFoundError("a");
    else line.close();
    await pauses(1);
    const { attempts } = told;
    told.failure = undefined;
    line.say("b");
    await pauses(2);
    expect([line.idle, told.attempts, told.taken, vi.getTimerCount()]).toEqual([true, attempts, [], 0]);
  });
});
