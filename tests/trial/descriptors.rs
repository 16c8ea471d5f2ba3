//! The number of files and connections that this program may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises it as far as the system allows: a thousand connections are more than the usual limit. The servers
/// that are started inherit it.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is refused, the first connection too many says so.
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
