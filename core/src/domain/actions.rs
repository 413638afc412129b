//! The buffer into which a core puts what it wants done.

/// What a step asks for, in order. Reused from step to step so that a quiet step allocates nothing.
///
/// Each core has its own action type `A`: an engine cannot even express an order, and only the account can express the
/// sending of one.
#[derive(Debug)]
pub struct Actions<A> {
    items: Vec<A>,
}

impl<A> Default for Actions<A> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<A> Actions<A> {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for one more thing.
    pub fn push(&mut self, action: A) {
        self.items.push(action);
    }

    /// Takes everything out, keeping the memory.
    pub fn drain(&mut self) -> std::vec::Drain<'_, A> {
        self.items.drain(..)
    }

    /// Forgets everything, keeping the memory: after looking, where taking out would only move things.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Looks without taking.
    pub fn as_slice(&self) -> &[A] {
        &self.items
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
