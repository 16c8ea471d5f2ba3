//! The siblings that a client has been shown of a key.

use kv_core::version::{Container, Dot};
use smallvec::SmallVec;

/// The dots of the siblings of one key: as a rule there is one.
pub type Dots = SmallVec<[Dot; 1]>;

/// Updates the siblings that a session has seen of a key once it has learnt of this container too:
/// the container's own, and of the rest those that it does not account for.
pub fn learn(seen: &mut Dots, container: &Container) {
    seen.retain(|dot| !container.seen().covers(*dot));
    seen.extend(container.dots());
}
