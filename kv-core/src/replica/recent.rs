//! The requests that a replica has minted for lately, so that a retry is not a second write.

use alloc::collections::{BTreeMap, VecDeque};

use crate::types::RequestId;
use crate::version::Dot;

/// A bounded memory of request ids. What falls out of it is still known while its version stands;
/// after that, a very late retry is a second write, as documented for request ids (SEMANTICS §1).
#[derive(Clone, Debug)]
pub(super) struct RecentRequests {
    requests_max: usize,
    dots: BTreeMap<RequestId, Dot>,
    order: VecDeque<RequestId>,
}

impl RecentRequests {
    pub(super) const fn new(requests_max: usize) -> Self {
        Self { requests_max, dots: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, request: RequestId) -> Option<Dot> {
        self.dots.get(&request).copied()
    }

    pub(super) fn insert(&mut self, request: RequestId, dot: Dot) {
        if self.requests_max == 0 {
            return;
        }
        if self.dots.insert(request, dot).is_none() {
            self.order.push_back(request);
        }
        if self.order.len() > self.requests_max {
            let oldest = self.order.pop_front().expect("it is longer than its bound");
            self.dots.remove(&oldest);
        }
    }
}
