//! The slot table, with every mistake of ownership turned into a panic.

use super::{CallId, Handler, Ref};

/// A message of the user's.
#[derive(Clone, Debug)]
pub struct Message {
    /// When it was sent, counted over all messages of the isolate.
    pub sequence: u64,
    /// What its handler does.
    pub handler: Handler,
    /// It has neither been handled nor injected yet, so it has its place in the order of sending.
    pub fresh: bool,
}

/// What a slot holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// A cast.
    Cast(Message),
    /// A call that has not been answered at once.
    Call(Message, CallId),
    /// The message of a timer.
    Tick(Handler),
    /// The data of a continue.
    Continue(Handler),
    /// The value behind an exit reason; with the actor that an exit signal was sent to.
    Token(Option<Ref>),
}

/// Values by slot, and the free slots.
#[derive(Debug, Default)]
pub struct Slots {
    values: Vec<Option<Value>>,
    freed: Vec<u32>,
}

impl Slots {
    /// Takes a slot, the last freed one first.
    pub fn alloc(&mut self, value: Value) -> u32 {
        if let Some(slot) = self.freed.pop() {
            self.values[slot as usize] = Some(value);
            return slot;
        }
        self.values.push(Some(value));
        (self.values.len() - 1) as u32
    }

    /// Gives a slot back.
    ///
    /// # Panics
    /// When it is free already.
    pub fn free(&mut self, slot: u32) -> Value {
        let value = self.values.get_mut(slot as usize).and_then(Option::take);
        let Some(value) = value else { panic!("slot {slot} is freed a second time") };
        self.freed.push(slot);
        value
    }

    /// What a slot holds.
    ///
    /// # Panics
    /// When it is free.
    #[must_use]
    pub fn get(&self, slot: u32) -> &Value {
        let value = self.values.get(slot as usize).and_then(Option::as_ref);
        value.unwrap_or_else(|| panic!("slot {slot} is used after it was freed"))
    }

    /// What a slot holds, for changes.
    ///
    /// # Panics
    /// When it is free.
    pub fn get_mut(&mut self, slot: u32) -> &mut Value {
        let value = self.values.get_mut(slot as usize).and_then(Option::as_mut);
        value.unwrap_or_else(|| panic!("slot {slot} is used after it was freed"))
    }

    /// Slots in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.values.len() - self.freed.len()
    }

    /// The slots in use and what they hold.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Value)> {
        self.values.iter().enumerate().filter_map(|(slot, value)| Some((slot as u32, value.as_ref()?)))
    }
}
