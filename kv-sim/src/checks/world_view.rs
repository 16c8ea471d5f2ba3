//! The world, as the checks look at it.

use super::{ClusterHealth, Disks};

/// The world, to be looked at: its disks and its health.
pub trait WorldView: Disks + ClusterHealth {}

impl<W: Disks + ClusterHealth> WorldView for W {}
