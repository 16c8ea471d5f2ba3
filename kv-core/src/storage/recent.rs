//! The requests that a replica has minted for lately, so that a retry is not a second write.

use crate::fifo::FifoCache;
use crate::types::{Key, RequestId, Token};
use crate::version::Dot;

/// A bounded memory of request ids. What falls out of it is still known while its version stands;
/// after that, a very late retry is a second write, as documented for request ids (semantics.md §1).
#[derive(Clone, Debug)]
pub(super) struct RecentRequests {
    /// By the request with the key's token, which stands for the key: a client may use one id for
    /// several keys, and each of them is a write of its own.
    pub(super) dots: FifoCache<(RequestId, Token), Dot>,
}

impl RecentRequests {
    pub(super) const fn new(requests_max: usize) -> Self {
        Self { dots: FifoCache::new(requests_max) }
    }

    /// The dot minted for a request on this key.
    pub(super) fn get(&self, request: RequestId, key: &Key) -> Option<Dot> {
        self.dots.get(&(request, key.token())).copied()
    }

    /// Remembers a request. Tells whether another was forgotten for it, and none ever before.
    pub(super) fn insert(&mut self, request: RequestId, key: &Key, dot: Dot) -> bool {
        let had_forgotten = self.dots.has_forgotten();
        self.dots.insert((request, key.token()), dot);
        !had_forgotten && self.dots.has_forgotten()
    }
}
