//! Whether an event loop still turns, seen from outside.
//!
//! # What it is
//! Somebody else's thread asks the loop a question and waits for the answer, which the loop gives in its
//! next turn. An answer that is overdue is a loop that is busy, and one that is long overdue a loop that
//! hangs. The machine says when to ask and what the silence means; asking, answering and the clock are
//! the driver's.
//!
//! # States
//! ```text
//!              busy_us without an answer          hung_us
//!   Ok ────────────────────────────────> Busy ─────────────> Hung
//!    ^ <────────── the answer ─────────── │ <─────────────── │
//! ```
//! The first question is asked at once, each further one `interval_us` after the last answer. There is
//! at most one question at a time.
//!
//! # Time that nobody had
//! A process that was stopped, or a machine that had no time for it, could not answer. Its driver could not
//! look either: by how much the driver was late does not count as waiting, except for [`LATE_US`] of it.
//!
//! # Limits
//! A block is noticed if it lasts until `busy_us` after a question, so one of up to `busy_us + interval_us`
//! may pass unseen, and the start of a block is known to within an interval. After `Hung` the machine
//! waits for the answer only.

/// How late a driver may be before its own absence is subtracted.
pub const LATE_US: u64 = 100_000;

/// No time at all.
const NEVER: u64 = u64::MAX;

/// How a loop does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoopState {
    /// It answers.
    #[default]
    Ok,
    /// Its answer is overdue.
    Busy,
    /// Its answer is long overdue.
    Hung,
}

/// What counts as overdue. All in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopConfig {
    /// Without an answer for this long a loop is busy.
    pub busy_us: u64,
    /// Without an answer for this long it hangs; not less than `busy_us`.
    pub hung_us: u64,
    /// From an answer to the next question.
    pub interval_us: u64,
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Ask the loop.
    Ask,
    /// Tell that the state is another one.
    Changed(LoopState),
    /// Nothing.
    Wait,
}

/// A block that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// From the question to the answer, without the time that nobody had.
    pub waited_us: u64,
    /// The worst that it came to; never [`LoopState::Ok`].
    pub worst: LoopState,
}

/// Watches one loop. See the module's header.
#[derive(Debug)]
pub struct LoopWatch {
    config: LoopConfig,
    state: LoopState,
    /// When the question that waits was asked, later by the time that nobody had.
    asked_us: Option<u64>,
    /// When `handle_timeout` is to be called.
    due_us: u64,
}

impl LoopWatch {
    /// A loop that has not been asked yet.
    #[must_use]
    pub const fn new(config: LoopConfig, now_us: u64) -> Self {
        Self { config, state: LoopState::Ok, asked_us: None, due_us: now_us }
    }

    /// How the loop does.
    #[must_use]
    pub const fn state(&self) -> LoopState {
        self.state
    }

    /// When `handle_timeout` wants to be called, in microseconds.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        (self.due_us != NEVER).then_some(self.due_us)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now_us: u64) -> Step {
        if now_us < self.due_us {
            return Step::Wait;
        }
        let Some(mut asked_us) = self.asked_us else {
            self.asked_us = Some(now_us);
            self.due_us = now_us.saturating_add(self.config.busy_us);
            return Step::Ask;
        };
        asked_us += (now_us - self.due_us).saturating_sub(LATE_US);
        self.asked_us = Some(asked_us);
        let waited_us = now_us - asked_us;
        let before = self.state;
        let LoopConfig { busy_us, hung_us, .. } = self.config;
        (self.state, self.due_us) = if waited_us >= hung_us {
            (LoopState::Hung, NEVER)
        } else if waited_us >= busy_us {
            (LoopState::Busy, asked_us.saturating_add(hung_us))
        } else {
            (before, asked_us.saturating_add(busy_us))
        };
        if self.state == before { Step::Wait } else { Step::Changed(self.state) }
    }

    /// The loop has answered. A block that ends so leaves the state [`LoopState::Ok`].
    pub fn handle_answer(&mut self, now_us: u64) -> Option<Block> {
        let asked_us = self.asked_us.take()?;
        self.due_us = now_us.saturating_add(self.config.interval_us);
        let worst = std::mem::take(&mut self.state);
        (worst != LoopState::Ok).then(|| Block { waited_us: now_us.saturating_sub(asked_us), worst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: LoopConfig = LoopConfig { busy_us: 500_000, hung_us: 5_000_000, interval_us: 250_000 };

    /// A loop that was asked at time 0.
    fn asked() -> LoopWatch {
        let mut watch = LoopWatch::new(CONFIG, 0);
        assert_eq!(watch.handle_timeout(0), Step::Ask);
        watch
    }

    #[test]
    fn a_loop_that_answers_is_asked_again_after_the_interval() {
        let mut watch = asked();
        assert_eq!(watch.handle_answer(10), None);
        assert_eq!(watch.poll_timeout(), Some(250_010));
        assert_eq!(watch.handle_timeout(250_009), Step::Wait);
        assert_eq!(watch.handle_timeout(250_010), Step::Ask);
        assert_eq!(watch.state(), LoopState::Ok);
    }

    #[test]
    fn silence_is_busy_and_then_hung_and_then_nothing_more() {
        let mut watch = asked();
        assert_eq!(watch.poll_timeout(), Some(500_000));
        assert_eq!(watch.handle_timeout(500_000), Step::Changed(LoopState::Busy));
        assert_eq!(watch.poll_timeout(), Some(5_000_000));
        assert_eq!(watch.handle_timeout(4_999_999), Step::Wait);
        assert_eq!(watch.handle_timeout(5_000_000), Step::Changed(LoopState::Hung));
        assert_eq!(watch.poll_timeout(), None);
        let block = watch.handle_answer(7_000_000);
        assert_eq!(block, Some(Block { waited_us: 7_000_000, worst: LoopState::Hung }));
        assert_eq!(watch.state(), LoopState::Ok);
        assert_eq!(watch.poll_timeout(), Some(7_250_000));
    }

    #[test]
    fn an_answer_without_a_question_is_none() {
        let mut watch = LoopWatch::new(CONFIG, 0);
        assert_eq!(watch.handle_answer(5), None);
        assert_eq!(watch.poll_timeout(), Some(0));
    }

    #[test]
    fn time_in_which_the_driver_did_not_run_either_is_not_waiting() {
        let mut watch = asked();
        // Stopped for ten seconds: the look that was due at 0.5 s comes at 10 s.
        assert_eq!(watch.handle_timeout(10_000_000), Step::Changed(LoopState::Busy));
        assert_eq!(watch.poll_timeout(), Some(10_000_000 - 500_000 - LATE_US + 5_000_000));
        let block = watch.handle_answer(10_000_010);
        assert_eq!(block, Some(Block { waited_us: 600_010, worst: LoopState::Busy }));
    }

    #[test]
    fn limits_that_are_never_reached_are_never_due() {
        let mut watch = LoopWatch::new(LoopConfig { hung_us: NEVER, ..CONFIG }, 0);
        assert_eq!(watch.handle_timeout(0), Step::Ask);
        assert_eq!(watch.handle_timeout(500_000), Step::Changed(LoopState::Busy));
        assert_eq!(watch.poll_timeout(), None);
    }
}
