//! The requests that a replica has minted for lately, so that a retry is not a second write.

use alloc::collections::{BTreeMap, VecDeque};

use crate::types::{Key, RequestId, Token};
use crate::version::Dot;

/// A bounded memory of request ids. What falls out of it is still known while its version stands;
/// after that, a very late retry is a second write, as documented for request ids (SEMANTICS §1).
#[derive(Clone, Debug)]
pub(super) struct RecentRequests {
    requests_max: usize,
    /// With the key's token, which stands for it.
    dots: BTreeMap<RequestId, (Token, Dot)>,
    order: VecDeque<RequestId>,
}

impl RecentRequests {
    pub(super) const fn new(requests_max: usize) -> Self {
        Self { requests_max, dots: BTreeMap::new(), order: VecDeque::new() }
    }

    /// What was minted for a request on this key. A client may use one id for several keys.
    pub(super) fn get(&self, request: RequestId, key: &Key) -> Option<Dot> {
        self.dots.get(&request).filter(|(known, _)| *known == key.token()).map(|&(_, dot)| dot)
    }

    pub(super) fn insert(&mut self, request: RequestId, key: &Key, dot: Dot) {
        if self.requests_max == 0 {
            return;
        }
        if self.dots.insert(request, (key.token(), dot)).is_none() {
            self.order.push_back(request);
        }
        if self.order.len() > self.requests_max {
            let oldest = self.order.pop_front().expect("it is longer than its bound");
            self.dots.remove(&oldest);
        }
    }
}
