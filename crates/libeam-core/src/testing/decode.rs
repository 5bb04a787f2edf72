//! Bytes to operations, so that a fuzzer can make scripts. Every sequence of bytes is a script; what
//! is missing at the end reads as zeros.

use super::Ending;
use super::script::{Behaviour, Op, Script, Settings};

/// Operations of one script at most; what follows is ignored.
const OPS_MAX: usize = 400;
/// Operations that may be inside each other.
const NESTING_MAX: u32 = 2;
/// Times that scripts like, in milliseconds: their sums meet each other.
const TIMES_MS: [u32; 16] = [0, 1, 2, 3, 5, 7, 10, 10, 20, 20, 25, 30, 50, 64, 100, 1000];

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn time_ms(&mut self) -> u32 {
        TIMES_MS[usize::from(self.byte() & 15)]
    }

    fn ending(&mut self) -> Ending {
        match self.byte() % 8 {
            0..=2 => Ending::Ok,
            3 => Ending::Crash,
            4 | 5 => Ending::Pending,
            6 => Ending::Stash,
            _ => Ending::Continue,
        }
    }

    fn behaviour(&mut self, depth: u32) -> Behaviour {
        let ending = self.ending();
        let deed = depth < NESTING_MAX && self.byte().is_multiple_of(4);
        Behaviour { ending, deed: deed.then(|| Box::new(self.op(depth + 1))) }
    }

    fn maybe<T>(&mut self, one_in: u8, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.byte().is_multiple_of(one_in).then(|| read(self))
    }

    fn op(&mut self, depth: u32) -> Op {
        match self.byte() % 50 {
            0..=3 => self.spawn(depth),
            4..=8 => Op::Cast { to: self.byte(), handler: self.behaviour(depth) },
            9..=12 => Op::Call {
                to: self.byte(),
                timeout_ms: self.maybe(2, Self::time_ms),
                queued: self.flag(),
                handler: self.behaviour(depth),
            },
            13..=15 => Op::Settle { actor: self.byte(), ending: self.ending(), pump: self.byte() % 8 },
            16 => Op::Crash(self.byte()),
            17 => Op::Stop(self.byte()),
            18 => Op::Exit { from: self.byte(), to: self.byte(), signal: self.byte() },
            19 | 20 => Op::Link(self.byte(), self.byte()),
            21 => Op::Unlink(self.byte()),
            22 => Op::Watch(self.byte(), self.byte()),
            23 => Op::Unwatch(self.byte()),
            24 => Op::TrapExit(self.byte(), self.flag()),
            25 => self.timer(depth),
            26 => Op::CancelTimer(self.byte()),
            27 => Op::CancelAllTimers(self.byte()),
            28 => Op::IdleTimeout(self.byte(), self.time_ms()),
            29 => Op::Pause(self.byte()),
            30 => Op::Resume(self.byte()),
            31 => Op::Unstash(self.byte(), self.flag()),
            32 => Op::ClearStash(self.byte()),
            33 => Op::CancelCall(self.byte()),
            34 => Op::Drain(self.byte()),
            35 => Op::Inject(self.byte()),
            36 => Op::Member { actor: self.byte(), group: self.byte() % 3, joins: self.flag() },
            37 => self.supervise(),
            38 => Op::Advance(self.time_ms()),
            39 => Op::Sleep(self.time_ms()),
            40 => Op::Submit,
            41 => Op::Enter,
            42 => Op::Nonsense { op: self.byte(), index: self.byte() },
            43 => Op::EnterBriefly(self.byte() % 8),
            44 => Op::Flood { to: self.byte(), count: self.byte(), handler: self.behaviour(depth) },
            45 => Op::Look(self.byte()),
            48 => Op::Restart(self.byte()),
            46 | 47 => Op::CastNow { to: self.byte(), handler: self.behaviour(depth) },
            _ => Op::Flush,
        }
    }

    fn spawn(&mut self, depth: u32) -> Op {
        Op::Spawn {
            parent: self.maybe(2, Self::byte),
            name: self.maybe(4, |reader| reader.byte() % 4),
            capacity: self.maybe(4, |reader| reader.byte() % 4).unwrap_or(0),
            policy: self.byte() % 3,
            init: self.behaviour(depth),
            later: self.behaviour(depth),
            terminate: self.maybe(2, |reader| reader.behaviour(depth)),
            info: self.behaviour(depth),
            aside: self.behaviour(depth),
        }
    }

    fn timer(&mut self, depth: u32) -> Op {
        Op::StartTimer {
            actor: self.byte(),
            delay_ms: self.time_ms(),
            interval: self.flag(),
            handler: self.behaviour(depth),
        }
    }

    fn supervise(&mut self) -> Op {
        Op::Supervise {
            parent: self.maybe(4, |_| ()).map_or_else(|| Some(self.byte()), |()| None),
            on_crash: self.byte() % 5,
            strategy: self.byte() % 3,
            max_restarts: u32::from(self.byte() % 6),
            // Without either, a child whose `init` always fails is started for ever at one time.
            period_ms: self.time_ms().max(1),
            backoff_ms: self.maybe(3, |reader| reader.time_ms().max(1)),
        }
    }
}

/// Reads a script.
#[must_use]
pub fn script(bytes: &[u8]) -> Script {
    let mut reader = Reader { bytes };
    let settings = Settings {
        call_timeout_ms: reader.time_ms(),
        stop_timeout_ms: reader.time_ms(),
        seed: u64::from(reader.byte()),
    };
    let mut ops = Vec::new();
    while !reader.bytes.is_empty() && ops.len() < OPS_MAX {
        ops.push(reader.op(0));
    }
    Script { settings, ops }
}
