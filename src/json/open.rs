//! What is open around a value.

/// Which of the open values are objects: a stack of bits, which allocates for every 64 levels beyond the first.
#[derive(Default)]
pub(super) struct Open {
    bits: u64,
    depth: usize,
    outer: Vec<u64>,
}

impl Open {
    #[inline]
    pub(super) fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    /// Closes the innermost; returns how many are left.
    #[inline]
    pub(super) fn pop(&mut self) -> usize {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
        self.depth
    }

    #[inline]
    pub(super) const fn is_object(&self) -> bool {
        self.bits & 1 == 1
    }
}
