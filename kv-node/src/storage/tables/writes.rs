//! Writes of tables, and what is left of those that failed.
//!
//! The crate makes the files of new tables under new ids, and leaves those of a write that failed until
//! tables are opened again. On a full disk that would take the room that somebody makes, so they are
//! removed as soon as nobody writes.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lsm_tree::{AbstractTree as _, AnyTree, Table};

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
    /// The least id of a file that a write which failed may have left.
    left_from: Option<u64>,
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
            state.left_from = Some(state.left_from.map_or(first, |left_from| left_from.min(first)));
        }
        if state.under_way == 0
            && let Some(left_from) = state.left_from
            && self.remove_from(left_from).is_ok()
        {
            state.left_from = None;
        }
        written
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes files of tables from an id on that the list does not name.
    fn remove_from(&self, left_from: u64) -> io::Result<()> {
        let version = self.tree.current_version();
        let listed: Vec<_> = version.iter_tables().map(Table::id).collect();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            if id.is_some_and(|id| id >= left_from && !listed.contains(&id)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}
