//! The open connections, each with its facts for others outside of its own task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::core_loop::ConnectionId;
use crate::redis::{ConnectionActivity, Pipeline, Profile, client_line};

/// The entries of all connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<BTreeMap<ConnectionId, Arc<ConnectionEntry>>>);

/// The entry of one connection. Its task writes it after each read and each write, others read it.
#[derive(Debug)]
pub(super) struct ConnectionEntry(Mutex<Known>);

#[derive(Debug)]
struct Known {
    profile: Profile,
    /// The number of the profile's changes when it was copied.
    profile_changes: u64,
    opened: Instant,
    heard: Instant,
    /// The activity, without the times.
    activity: ConnectionActivity,
}

impl Registry {
    /// Adds a new connection.
    pub(super) fn open(
        &self,
        id: ConnectionId,
        profile: Profile,
        now: Instant,
    ) -> Arc<ConnectionEntry> {
        let entry = Arc::new(ConnectionEntry(Mutex::new(Known {
            profile,
            profile_changes: 0,
            opened: now,
            heard: now,
            activity: ConnectionActivity::default(),
        })));
        lock(&self.0).insert(id, Arc::clone(&entry));
        entry
    }

    /// Removes a connection that has ended.
    pub(super) fn close(&self, id: ConnectionId) {
        lock(&self.0).remove(&id);
    }

    /// Writes the `CLIENT LIST` lines of all connections but this one.
    pub(super) fn others(&self, than: ConnectionId, now: Instant) -> Vec<(u64, String)> {
        let entries: Vec<_> = {
            let all = lock(&self.0);
            let others = all.iter().filter(|(id, _)| **id != than);
            others.map(|(id, entry)| (id.0, Arc::clone(entry))).collect()
        };
        let line = |entry: &ConnectionEntry| {
            let known = lock(&entry.0);
            client_line(&known.profile, &known.activity(now))
        };
        entries.iter().map(|(id, entry)| (*id, line(entry))).collect()
    }
}

impl ConnectionEntry {
    /// Notes that bytes were read.
    pub(super) fn on_received(&self, bytes: usize, now: Instant) {
        let mut known = lock(&self.0);
        known.heard = now;
        known.activity.received_bytes += bytes as u64;
    }

    /// Notes that bytes were written, after which so many wait.
    pub(super) fn on_sent(&self, bytes: usize, waiting: usize) {
        let activity = &mut lock(&self.0).activity;
        activity.sent_bytes += bytes as u64;
        activity.output_bytes = waiting;
    }

    /// Notes that commands were taken out of the input, of which so much is left.
    pub(super) fn on_commands(
        &self,
        pipeline: &mut Pipeline,
        commands: u32,
        input_bytes: usize,
        input_room: usize,
    ) {
        let mut known = lock(&self.0);
        let known = &mut *known;
        known.activity = ConnectionActivity {
            input_bytes,
            input_room,
            held_bytes: pipeline.held_bytes(),
            output_bytes: pipeline.ready().len(),
            commands: known.activity.commands + u64::from(commands),
            last: pipeline.connection().last_command(),
            ..known.activity
        };
        let connection = pipeline.connection();
        if connection.profile_changes() != known.profile_changes {
            known.profile_changes = connection.profile_changes();
            known.profile = connection.profile().clone();
        }
    }

    /// Returns the activity up to now.
    pub(super) fn activity(&self, now: Instant) -> ConnectionActivity {
        lock(&self.0).activity(now)
    }
}

impl Known {
    fn activity(&self, now: Instant) -> ConnectionActivity {
        let Self { opened, heard, activity, profile: _, profile_changes: _ } = self;
        let age_s = now.saturating_duration_since(*opened).as_secs();
        let idle_s = now.saturating_duration_since(*heard).as_secs();
        ConnectionActivity { age_s, idle_s, ..*activity }
    }
}

/// Locks a mutex. Nothing about its content can be half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
