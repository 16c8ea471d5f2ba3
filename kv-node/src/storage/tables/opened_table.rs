//! One table, opened apart from all others, to see what can be read of it.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lsm_tree::table::Table;
use lsm_tree::{Cache, Checksum, InternalValue, SeqNo};

/// True if an error of the system is about what a file holds, and not about whether it can be read.
pub(super) fn is_of_content(error: &io::Error) -> bool {
    // What a file says of places in it may lie before its beginning.
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::InvalidData
            | ErrorKind::InvalidInput
            | ErrorKind::UnexpectedEof
    )
}

/// A table that was opened by itself.
pub(super) struct OpenedTable {
    pub(super) table: Table,
    /// True if the filter of its keys cannot be read. Everything else can.
    pub(super) lacks_filter: bool,
}

impl OpenedTable {
    /// Opens a table by itself, if it is the one of this id. `None`, if it is not, or cannot be read.
    pub(super) fn open(path: &Path, id: u64) -> io::Result<Option<Self>> {
        for lacks_filter in [false, true] {
            let cache = Arc::new(Cache::with_capacity_bytes(0));
            let (path, checksum) = (path.into(), Checksum::from_raw(0));
            match Table::recover(path, checksum, 0, 0, cache, None, !lacks_filter, true) {
                Ok(table) => {
                    return Ok((table.id() == id).then_some(Self { table, lacks_filter }));
                }
                Err(lsm_tree::Error::Io(error)) if !is_of_content(&error) => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Visits the records that can be read, from the beginning and from the end up to what cannot. Of
    /// each key the newest is shown last.
    pub(super) fn for_each_readable(&self, mut visit: impl FnMut(InternalValue)) {
        let mut newest: Option<(Bytes, SeqNo)> = None;
        let mut show = |item: InternalValue| {
            // A key may stand in a table several times, the newest first.
            let key = Bytes::from(item.key.user_key.clone());
            if newest.as_ref().is_none_or(|(last, seqno)| *last != key || *seqno < item.key.seqno) {
                newest = Some((key, item.key.seqno));
                visit(item);
            }
        };
        let mut last_read: Option<Bytes> = None;
        for item in self.table.iter() {
            let Ok(item) = item else {
                let is_behind = |item: &InternalValue| {
                    last_read.as_ref().is_none_or(|last| item.key.user_key.as_ref() > &last[..])
                };
                self.table.iter().rev().map_while(Result::ok).take_while(is_behind).for_each(show);
                return;
            };
            last_read = Some(Bytes::from(item.key.user_key.clone()));
            show(item);
        }
    }
}
