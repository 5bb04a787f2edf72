//! How the core names an actor.
//!
//! An actor is a *logical* actor: it keeps its index and generation over supervised restarts, and
//! counts its incarnations. An index is used again after the actor is gone, with the next
//! generation, so `(index, generation)` never names two actors of one kernel.

/// Position of an actor in the table of its kernel.
pub type ActorIndex = u32;

/// No actor (a root has no parent, a list has no next element).
pub const NIL: u32 = u32::MAX;

/// A name for one incarnation of one actor of one kernel, unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pid {
    /// The kernel (one per system and isolate) that owns the actor.
    pub kernel: u32,
    /// Position in that kernel's table.
    pub index: ActorIndex,
    /// Which user of the position.
    pub generation: u32,
}
