//! Every number that the core and the isolate must agree on.
//!
//! `lib/kernel/protocol.ts` is generated from [`TABLE`]; a test fails when the two differ.
//!
//! # Submission queue (JavaScript to core)
//! Pairs `(actor, kind << 28 | slot)`. JavaScript writes them one after another, sets [`H_SUBMITTED`]
//! to the number of words and calls into the core, which consumes all of them, in order, before it
//! does anything else. JavaScript MUST have added one to the actor's pending word for each
//! `SUBMIT_CAST` and `SUBMIT_CALL`; the core takes one away for each that it refuses.
//!
//! # Completion queue (core to JavaScript)
//! Records. A message is a pair `(actor, kind << 28 | slot)` with `ENTRY_CAST` or `ENTRY_CALL`; every
//! other record has [`EVENT_WORDS`] words: `(actor, ENTRY_EVENT << 28 | event, a, b, c, d, e, f)`.
//! The core fills the queue only in `enter`; JavaScript MUST NOT call `enter` while it walks through
//! a batch (`submit` and the control operations are allowed: they never write here).
//!
//! # State words (both)
//! [`STATE_WORDS`] words per actor: flags, pending, incarnation, capacity of the mailbox (0 is
//! unbounded). *Pending* counts the messages that are anywhere in the pipeline: with JavaScript,
//! submission queue, mailbox, completion queue, or being handled. Flags and pending both zero is what
//! makes an inline call lawful. JavaScript alone sets and clears [`FLAG_RUNNING`]; it clears [`FLAG_STARTING`] too when a first `init` ends well, and
//! [`FLAG_RESTARTING`] when it begins an incarnation that `EVENT_INIT` asked for. All other flags are
//! the core's. After a handler, JavaScript MUST submit `SUBMIT_WAKE` if pending or
//! any flag is not zero then; it MAY leave that out while the same batch has more for the actor.

macro_rules! protocol {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: u32 = $value;)*
        /// All of the above, by name.
        pub const TABLE: &[(&str, u32)] = &[$((stringify!($name), $value),)*];
    };
}

protocol! {
    /// Words of the page's header.
    HEADER_WORDS = 64;
    /// Words of the submission queue, which follows the header.
    SUBMIT_WORDS = 8192;
    /// Words of the completion queue, which follows the submission queue. What a batch has left when its
    /// time is over goes back into the mailboxes, so it is kept short.
    COMPLETE_WORDS = 1024;
    /// Where `next` writes up to [`PREFETCH`] entries: behind the completion queue.
    ENTRIES_AT = HEADER_WORDS + SUBMIT_WORDS + COMPLETE_WORDS;
    /// Messages of one actor that `next` hands over at most.
    PREFETCH = 1024;
    /// Actors per state chunk.
    CHUNK_ACTORS = 4096;
    /// Words of state per actor.
    STATE_WORDS = 4;
    /// Words of an event record.
    EVENT_WORDS = 8;
    /// Messages that one actor may handle in a row before others get their turn.
    QUANTUM = 16;
    /// Bits of a slot in the second word of a pair.
    SLOT_BITS = 28;
    /// Bits of the generation in the name of a watch, a link or a timer. With the 32 bits of the index the name
    /// is one number of JavaScript's, which has 53.
    GENERATION_BITS = 21;

    /// Header: words submitted.
    H_SUBMITTED = 0;
    /// Header: words completed.
    H_COMPLETED = 1;
    /// Header: 1 when the core has events or runnable actors left for another `enter`.
    H_MORE = 2;
    /// Header: first of eight arguments of a control operation.
    H_ARGS = 8;
    /// Header: first of twelve results of a control operation.
    H_RESULTS = 16;
    /// Header: a record of [`EVENT_WORDS`] words, written by `next`.
    H_NEXT = 32;

    /// Flag: a handler is running, or its promise is pending.
    FLAG_RUNNING = 1;
    /// Flag: `init` has not ended.
    FLAG_STARTING = 2;
    /// Flag: the mailbox is paused.
    FLAG_PAUSED = 4;
    /// Flag: on the way out, for good or to be started again.
    FLAG_EXITING = 8;
    /// Flag: between two incarnations; the isolate has not begun the next one.
    FLAG_RESTARTING = 16;
    /// Flag: every message must pass through the core (an idle timeout is set).
    FLAG_OBSERVED = 32;
    /// Flag: on the way out for good; messages are refused.
    FLAG_STOPPING = 64;
    /// Flag: gone.
    FLAG_DEAD = 128;
    /// Flag: an exit signal has hit the actor, and `EVENT_SIGNALLED` waits for its answer.
    FLAG_DOOMED = 256;

    /// Submission: a cast.
    SUBMIT_CAST = 0;
    /// Submission: a call with the default timeout.
    SUBMIT_CALL = 1;
    /// Submission: a call; the next pair is `(timeout_ms, 0)`.
    SUBMIT_CALL_TIMED = 2;
    /// Submission: a call that ran inline has become a pending promise; default timeout.
    SUBMIT_STARTED = 3;
    /// Submission: the same; the next pair is `(timeout_ms, 0)`.
    SUBMIT_STARTED_TIMED = 4;
    /// Submission: the call of this slot is settled; first word unused.
    SUBMIT_SETTLED = 5;
    /// Submission: a handler ended; look at the actor again.
    SUBMIT_WAKE = 6;
    /// Submission: a batch held more for this actor than it could take; the next pair is the entry
    /// to put back at the front of its mailbox.
    SUBMIT_UNREAD = 7;

    /// Entry: a cast.
    ENTRY_CAST = 0;
    /// Entry: a call.
    ENTRY_CALL = 1;
    /// Entry: a signal of the core's own (inside mailboxes only).
    ENTRY_SIGNAL = 2;
    /// Entry: nothing; what the isolate leaves in a batch for a record that it has put back.
    ENTRY_NONE = 3;
    /// Entry: an event record.
    ENTRY_EVENT = 15;

    /// Event: a watched actor ended. a, b: monitor; c, d: reason; for `handleInfo`. This and the next
    /// four come out of mailboxes: word f names the signal, for `SUBMIT_UNREAD` with `ENTRY_SIGNAL`.
    EVENT_DOWN = 1;
    /// Event: an exit signal for an actor that traps exits. a, b: link or NIL; c, d: reason.
    EVENT_EXIT = 2;
    /// Event: the idle timeout fired. a: milliseconds since the last message.
    EVENT_IDLE = 3;
    /// Event: a timer fired. a: slot of its message; b: 1 for a single shot; c, d: timer.
    EVENT_TIMER = 4;
    /// Event: run `handleContinue`. a: slot of its data.
    EVENT_CONTINUE = 5;
    /// Event: run `init` of the next incarnation. a: incarnation; b: attempt within the window.
    EVENT_INIT = 6;
    /// Event: run `terminate`. a: incarnation; b: 1 if a restart follows.
    EVENT_TERMINATE = 7;
    /// Event: the actor is gone. a, b: reason; c: children stopped with it.
    EVENT_GONE = 8;
    /// Event: an exit signal hits an actor that does not trap exits: crash it. a, b: link or NIL; c, d: reason.
    /// The answer is `OP_CRASH` or `OP_PARDON`; no message is handled before.
    EVENT_SIGNALLED = 9;
    /// Event: reject the call in slot a. b: cause; c: 1 if the slot is free afterwards.
    EVENT_REJECT = 10;
    /// Event: the cast in slot a will not be delivered. b: cause.
    EVENT_DROP = 11;
    /// Event: slot a is not needed any more.
    EVENT_FREE = 12;
    /// Event: a link ended without a signal. a, b: link.
    EVENT_UNLINKED = 13;
    /// Event: an exit went on without the handler that runs. JavaScript MUST take its message off the
    /// pending word, unless the handler has ended by itself meanwhile. a: incarnation.
    EVENT_ABANDONED = 14;

    /// Cause: the actor is gone or on its way out.
    CAUSE_GONE = 1;
    /// Cause: the mailbox is full (newest dropped).
    CAUSE_FULL = 2;
    /// Cause: the mailbox is full (error policy).
    CAUSE_FULL_ERROR = 3;
    /// Cause: the deadline has passed.
    CAUSE_TIMEOUT = 4;
    /// Cause: pushed out by a newer message.
    CAUSE_EVICTED = 5;
    /// Cause: the stash was cleared.
    CAUSE_STASH_CLEARED = 6;

    /// Control: spawn. args: parent or NIL, capacity (0 unbounded), policy, traits; name apart. results: status, index, generation.
    OP_SPAWN = 1;
    /// Control: the first `init` failed; take the actor away without a word.
    OP_SPAWN_FAILED = 2;
    /// Control: `init` of a further incarnation, or an asynchronous one, ended well. args: actor, incarnation, continue slot or NIL.
    OP_INIT_DONE = 3;
    /// Control: something of an actor failed. args: actor, incarnation, token, 1 if it was `init`. results: decision, attempt, delay.
    OP_CRASH = 4;
    /// Control: `terminate` has ended. args: actor, incarnation.
    OP_TERMINATED = 5;
    /// Control: stop. args: actor. results: status.
    OP_STOP = 6;
    /// Control: exit signal. args: target, kind, token.
    OP_EXIT = 7;
    /// Control: link. args: a, b. results: status, index, generation.
    OP_LINK = 8;
    /// Control: unlink. args: index, generation.
    OP_UNLINK = 9;
    /// Control: monitor. args: watcher, watched or NIL. results: index, generation.
    OP_MONITOR = 10;
    /// Control: demonitor. args: index, generation.
    OP_DEMONITOR = 11;
    /// Control: trap exits or not. args: actor, 0 or 1.
    OP_TRAP_EXIT = 12;
    /// Control: start a timer. args: actor, slot, milliseconds, 1 for an interval, 1 if the message is for another actor.
    /// results: status, index, generation.
    OP_TIMER_START = 13;
    /// Control: cancel a timer. args: index, generation. results: status, slot to free.
    OP_TIMER_CANCEL = 14;
    /// Control: cancel all timers of an actor. args: actor.
    OP_TIMER_CANCEL_ALL = 15;
    /// Control: idle timeout. args: actor, milliseconds (0 disables).
    OP_IDLE = 16;
    /// Control: pause a mailbox. args: actor.
    OP_PAUSE = 17;
    /// Control: resume a mailbox. args: actor.
    OP_RESUME = 18;
    /// Control: stash a message. args: actor, entry, timeout or NIL when the core knows the call. results: status.
    OP_STASH = 19;
    /// Control: put stashed messages back in front. args: actor, how many at most. results: count.
    OP_UNSTASH = 20;
    /// Control: discard the stash. args: actor.
    OP_CLEAR_STASH = 21;
    /// Control: withdraw a call. args: slot. results: status.
    OP_CANCEL_CALL = 22;
    /// Control: how an actor's children are supervised. args: actor, on_crash, strategy, max_restarts, period_ms;
    /// then with backoff: initial_ms, max_ms (0 none), and results[0..2]: multiplier and jitter in millionths.
    OP_SUPERVISION = 23;
    /// Control: list the children of an actor.
    OP_CHILDREN = 24;
    /// Control: list the entries of a mailbox. args: actor, 1 to take them out. The slots of calls stay in use then, and
    /// their deadlines go on, until `OP_CANCEL_CALL`, `OP_INJECT` or an event that refuses them.
    OP_PENDING = 25;
    /// Control: put a message in front of a mailbox. args: actor, entry, 1 for a call that was taken out of one. results: 0 if
    /// the actor is on its way out, 1, or 2 if the call's time is up and an event says so.
    OP_INJECT = 26;
    /// Control: find a name. results: index or NIL.
    OP_WHEREIS = 27;
    /// Control: join a group (name apart). args: actor.
    OP_GROUP_JOIN = 28;
    /// Control: leave a group (name apart). args: actor.
    OP_GROUP_LEAVE = 29;
    /// Control: list the members of a group (name apart).
    OP_GROUP_MEMBERS = 30;
    /// Control: counters of everything that must not leak.
    OP_COUNTERS = 31;
    /// Control: list all actors.
    OP_ACTORS = 33;
    /// Control: number of messages in all mailboxes. results: low, high.
    OP_BACKLOG = 34;
    /// Control: the signal of an `EVENT_SIGNALLED` was withdrawn meanwhile. args: actor.
    OP_PARDON = 32;
    /// Control: run `handleContinue` before the next message. args: actor, slot.
    OP_CONTINUE = 35;
    /// Control: an actor's terminate trait. args: actor, traits.
    OP_TRAITS = 36;
    /// Control: messages in the mailbox of an actor. args: actor. results: count.
    OP_MAILBOX_LENGTH = 37;

    /// Control: start an actor again, though nothing has crashed. args: actor. results: `STATUS_STARTED`, or
    /// `STATUS_UNKNOWN` if it is gone or on its way out for good.
    OP_RESTART = 38;

    /// Trait: the actor has something to do in `terminate`.
    TRAIT_TERMINATE = 1;

    /// Policy: refuse the newest message.
    POLICY_DROP_NEWEST = 0;
    /// Policy: push out the oldest message.
    POLICY_DROP_OLDEST = 1;
    /// Policy: refuse the newest message, as an error.
    POLICY_ERROR = 2;

    /// Status: done.
    STATUS_OK = 0;
    /// Status: no such actor, timer, link or call.
    STATUS_UNKNOWN = 1;
    /// Status: the name belongs to somebody else.
    STATUS_NAME_TAKEN = 2;
    /// Status: a limit is reached.
    STATUS_LIMIT = 3;
    /// Status: begun, an event will tell the end.
    STATUS_STARTED = 4;
    /// Status: the parent is on its way out.
    STATUS_PARENT_EXITING = 5;

    /// Decision: ignored, the actor is already on its way out.
    DECISION_IGNORED = 0;
    /// Decision: start again.
    DECISION_RESTART = 1;
    /// Decision: stop.
    DECISION_STOP = 2;
    /// Decision: crash the parent.
    DECISION_ESCALATE = 3;
    /// Decision: too many restarts, stop.
    DECISION_GIVE_UP = 4;
}

/// Packs the second word of a pair.
#[inline]
#[must_use]
pub const fn entry(kind: u32, slot: u32) -> u32 {
    (kind << SLOT_BITS) | slot
}

/// The kind in a packed word.
#[inline]
#[must_use]
pub const fn kind_of(entry: u32) -> u32 {
    entry >> SLOT_BITS
}

/// The slot in a packed word.
#[inline]
#[must_use]
pub const fn slot_of(entry: u32) -> u32 {
    entry & ((1 << SLOT_BITS) - 1)
}

/// The generation of a name's next user.
#[inline]
#[must_use]
pub const fn next_generation(generation: u32) -> u32 {
    (generation + 1) & ((1 << GENERATION_BITS) - 1)
}

/// Whether a control operation must know what time it is; the others are spared the clock.
#[must_use]
pub const fn needs_time(op: u32) -> bool {
    matches!(
        op,
        OP_CRASH | OP_STOP | OP_RESTART | OP_EXIT | OP_TERMINATED | OP_TIMER_START | OP_IDLE | OP_STASH | OP_INJECT
    )
}
