//! Something that a check keeps for each key.

use super::history::History;

/// Something that a check keeps for each key, beside the key's history.
#[derive(Clone, Debug)]
pub(super) struct PerKey<T>(Vec<T>);

impl<T> Default for PerKey<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> PerKey<T> {
    /// The thing that is kept for a key; none if nothing was kept yet.
    pub(super) fn get(&self, history: &History) -> Option<&T> {
        self.0.get(history.place)
    }

    /// The thing that is kept for a key, to be changed. It begins as its default.
    pub(super) fn get_mut(&mut self, history: &History) -> &mut T {
        if self.0.len() <= history.place {
            self.0.resize_with(history.place + 1, T::default);
        }
        &mut self.0[history.place]
    }
}
