//! Writes of tables, and what is left of those that failed.
//!
//! The crate makes the files of new tables under new ids, and leaves those of a write that failed until
//! tables are opened again. On a full disk that would take the room that somebody makes, so they are
//! removed as soon as nobody writes.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lsm_tree::{AbstractTree as _, AnyTree, Table};

use super::manifest;

/// A tree, and the writes under way. Clones are of the same.
#[derive(Clone)]
pub(super) struct TableWrites {
    pub(super) tree: AnyTree,
    /// The folder of the files of the tables.
    folder: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    /// The ids of files that writes which failed may have left.
    left: Vec<Range<u64>>,
}

impl TableWrites {
    pub(super) fn new(tree: AnyTree) -> Self {
        let folder = tree.tree_config().path.join("tables");
        Self { tree, folder, state: Arc::default() }
    }

    /// The version of the list of tables. It only grows.
    pub(super) fn version(&self) -> u64 {
        self.tree.current_version().id()
    }

    /// Attempts to write tables. When nobody writes any more, what failed attempts have left is removed.
    pub(super) fn attempt<T>(
        &self,
        write: impl FnOnce(&AnyTree) -> lsm_tree::Result<T>,
    ) -> lsm_tree::Result<T> {
        let first = {
            let mut state = self.state();
            state.under_way += 1;
            self.tree.next_table_id()
        };
        let written = write(&self.tree);
        let mut state = self.state();
        state.under_way -= 1;
        if written.is_err() {
            state.left.push(first..self.tree.next_table_id());
        }
        if state.under_way == 0 && !state.left.is_empty() && self.remove(&state.left).is_ok() {
            state.left.clear();
        }
        written
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes files of tables that no list names: neither that in memory nor that on the disk, which may
    /// have become another one although it was said to be refused.
    fn remove(&self, left: &[Range<u64>]) -> io::Result<()> {
        let version = self.tree.current_version();
        let on_disk = manifest::read(&self.tree.tree_config().path);
        let on_disk = on_disk.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let listed = version.iter_tables().map(Table::id);
        let listed: Vec<_> = listed.chain(on_disk.tables.iter().map(|table| table.id)).collect();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            let is_left = |id: &u64| left.iter().any(|left| left.contains(id));
            if id.is_some_and(|id| is_left(&id) && !listed.contains(&id)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}
