//! The order among commands of one connection that touch the same keys.
//!
//! In goes each command with the keys that it touches, in the order of the pipeline; out comes
//! whether it may run now, and, when one ends, which others may run from then on.
//!
//! Invariants: a command runs after every earlier one with which it shares a key, if either of them
//! writes that key. Any others run side by side. Since each command lines up at all its keys at
//! once, no two can wait for each other.

use std::collections::{BTreeMap, VecDeque};

use kv_core::types::Key;

/// The access of a command to its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A read, which may run beside other reads.
    Read,
    /// A write, which runs alone.
    Write,
}

/// The lines of commands at the keys of one connection.
#[derive(Debug, Default)]
pub(crate) struct KeyLocks {
    lines: BTreeMap<Key, WaitingLine>,
    /// The number of keys at which each waiting command waits.
    waiting_at: BTreeMap<u64, usize>,
}

/// The commands at one key.
#[derive(Debug, Default)]
struct WaitingLine {
    /// The number of commands that read the key now.
    readers: usize,
    /// True while a command writes the key.
    writer: bool,
    waiting: VecDeque<(u64, Access)>,
}

impl KeyLocks {
    /// Lines a command up at its keys, and returns whether it may run now. A command that writes
    /// must not name a key twice: it would wait for itself.
    pub(crate) fn claim<'a>(
        &mut self,
        command: u64,
        keys: impl Iterator<Item = &'a Key>,
        access: Access,
    ) -> bool {
        let mut waiting_at = 0;
        for key in keys {
            let line = self.lines.entry(key.clone()).or_default();
            if line.waiting.is_empty() && line.admits(access) {
                line.enter(access);
            } else {
                line.waiting.push_back((command, access));
                waiting_at += 1;
            }
        }
        if waiting_at > 0 {
            self.waiting_at.insert(command, waiting_at);
        }
        waiting_at == 0
    }

    /// Ends a command that ran. Adds the commands that may run now to `freed`, in the order of the
    /// keys at which they waited last.
    pub(crate) fn release<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a Key>,
        access: Access,
        freed: &mut VecDeque<u64>,
    ) {
        for key in keys {
            let line = self.lines.get_mut(key).expect("a command that ran stood at its keys");
            line.leave(access);
            while let Some((command, access)) = line.next_admitted() {
                line.enter(access);
                let left = self.waiting_at.get_mut(&command).expect("who waits is counted");
                *left -= 1;
                if *left == 0 {
                    self.waiting_at.remove(&command);
                    freed.push_back(command);
                }
            }
            if line.is_empty() {
                self.lines.remove(key);
            }
        }
    }

    /// Tells whether no command stands at any key.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.waiting_at.is_empty()
    }
}

impl WaitingLine {
    const fn admits(&self, access: Access) -> bool {
        match access {
            Access::Read => !self.writer,
            Access::Write => !self.writer && self.readers == 0,
        }
    }

    /// Takes the first waiting command out of the line, if it may run.
    fn next_admitted(&mut self) -> Option<(u64, Access)> {
        let &(_, access) = self.waiting.front()?;
        if self.admits(access) { self.waiting.pop_front() } else { None }
    }

    fn enter(&mut self, access: Access) {
        debug_assert!(self.admits(access), "only who is admitted enters");
        match access {
            Access::Read => self.readers += 1,
            Access::Write => self.writer = true,
        }
    }

    fn leave(&mut self, access: Access) {
        match access {
            Access::Read => self.readers -= 1,
            Access::Write => self.writer = false,
        }
    }

    fn is_empty(&self) -> bool {
        let Self { readers, writer, waiting } = self;
        *readers == 0 && !writer && waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> Key {
        Key::from(vec![number])
    }

    type Commands = Vec<(BTreeSet<u8>, Access)>;

    fn commands() -> impl Strategy<Value = Commands> {
        let access = prop_oneof![Just(Access::Read), Just(Access::Write)];
        vec((btree_set(0_u8..4, 1..4), access), 1..30)
    }

    /// The reference model: a command may run if it shares no key, or only keys that both read,
    /// with any earlier one that has not ended.
    fn may_run(commands: &Commands, ended: &BTreeSet<usize>, at: usize) -> bool {
        let (keys, access) = &commands[at];
        let conflicts = |(other_keys, other): &(BTreeSet<u8>, Access)| {
            let both_read = *access == Access::Read && *other == Access::Read;
            !both_read && !keys.is_disjoint(other_keys)
        };
        !(0..at).any(|earlier| !ended.contains(&earlier) && conflicts(&commands[earlier]))
    }

    proptest! {
        #[test]
        fn exactly_those_run_that_share_no_written_key_with_an_earlier_one(
            commands in commands(),
            choices in vec(any::<prop::sample::Index>(), 30),
        ) {
            let keys: Vec<Vec<Key>> = commands
                .iter()
                .map(|(keys, _)| keys.iter().map(|&number| key(number)).collect())
                .collect();
            let (mut key_locks, mut running, mut ended) = (KeyLocks::default(), BTreeSet::new(), BTreeSet::new());
            for (at, (_, access)) in commands.iter().enumerate() {
                if key_locks.claim(at as u64, keys[at].iter(), *access) {
                    running.insert(at);
                }
            }
            for choice in choices.iter().take(commands.len()) {
                let expected: BTreeSet<usize> = (0..commands.len())
                    .filter(|at| !ended.contains(at) && may_run(&commands, &ended, *at))
                    .collect();
                prop_assert_eq!(&running, &expected);
                let at = *choice.get(&running.iter().copied().collect::<Vec<_>>());
                running.remove(&at);
                ended.insert(at);
                let mut freed = VecDeque::new();
                key_locks.release(keys[at].iter(), commands[at].1, &mut freed);
                running.extend(freed.into_iter().map(|command| command as usize));
            }
            prop_assert!(running.is_empty() && key_locks.is_empty());
        }
    }

    #[test]
    fn a_command_that_reads_one_key_twice_does_not_wait_for_itself() {
        let (mut key_locks, keys) = (KeyLocks::default(), [key(1), key(1)]);
        assert!(key_locks.claim(1, keys[..1].iter(), Access::Write));
        assert!(!key_locks.claim(2, keys.iter(), Access::Read));
        let mut freed = VecDeque::new();
        key_locks.release(keys[..1].iter(), Access::Write, &mut freed);
        assert_eq!(freed, [2]);
        key_locks.release(keys.iter(), Access::Read, &mut freed);
        assert!(key_locks.is_empty());
    }
}
