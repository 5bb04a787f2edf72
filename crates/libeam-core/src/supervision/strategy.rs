//! Which children restart together.
//!
//! Children are numbered in the order in which they were spawned. All three answers are contiguous, so
//! a range says everything; the caller stops its members from the last to the first and starts them
//! from the first to the last.

use std::ops::Range;

/// Which siblings share a child's fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// None: the child restarts alone.
    #[default]
    OneForOne,
    /// Every child of the same parent.
    OneForAll,
    /// The children that were spawned after it.
    RestForOne,
}

impl Strategy {
    /// The children that restart when the child at `position` of `count` has crashed.
    ///
    /// Empty if there is no child at `position`.
    pub fn affected(self, position: usize, count: usize) -> Range<usize> {
        if position >= count {
            return count..count;
        }
        match self {
            Self::OneForOne => position..position + 1,
            Self::OneForAll => 0..count,
            Self::RestForOne => position..count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Strategy;

    #[test]
    fn a_crash_affects_itself_its_successors_or_everyone() {
        assert_eq!(Strategy::OneForOne.affected(1, 4), 1..2);
        assert_eq!(Strategy::RestForOne.affected(1, 4), 1..4);
        assert_eq!(Strategy::OneForAll.affected(1, 4), 0..4);
    }

    #[test]
    fn an_only_child_restarts_alone_under_every_strategy() {
        for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
            assert_eq!(strategy.affected(0, 1), 0..1);
        }
    }

    #[test]
    fn a_position_outside_the_children_affects_nobody() {
        for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
            assert!(strategy.affected(4, 4).is_empty());
            assert!(strategy.affected(0, 0).is_empty());
        }
    }
}
