//! Scans, which put long keys into their places.

use std::ops::{Bound, ControlFlow};
use std::time::Instant;

use bytes::Bytes;
use kv_core::store::{Corrupt, Visitor};
use lsm_tree::{AbstractTree as _, Guard as _};

use super::{NEWEST, Tables, lacks_files, wait_since};
use crate::storage::long_keys;

/// The end of a look at the items of the tables.
enum Looked {
    /// Nothing is left to be shown, or the visitor has stopped.
    Through,
    /// The system had no file descriptor: the rest is looked at again.
    WithoutFiles,
}

impl Tables {
    pub(super) fn try_scan(
        &self,
        prefix: &[u8],
        after: &[u8],
        visit: &mut Visitor<'_>,
    ) -> ControlFlow<()> {
        let unseen = if after < prefix { prefix.to_vec() } else { next_to(after) };
        let mut scan = Scan { prefix, long: Vec::new(), unseen, visit };
        let begun = Instant::now();
        while let Looked::WithoutFiles = self.look(&mut scan)? {
            if let Err(corruption) = wait_since(begun) {
                return scan.on_corrupt(corruption);
            }
            scan.long.clear();
        }
        ControlFlow::Continue(())
    }

    /// Shows the items that were not shown yet.
    fn look(&self, scan: &mut Scan<'_, '_>) -> ControlFlow<(), Looked> {
        let begin = long_keys::head(&scan.unseen).to_vec();
        let end = end_of(long_keys::head(scan.prefix));
        let range = (Bound::Included(begin), end.map_or(Bound::Unbounded, Bound::Excluded));
        for item in self.writes.tree.range::<Vec<u8>, _>(range, NEWEST, None) {
            match item.into_inner() {
                Ok((key, record)) => scan.on_item(key.into(), record.into())?,
                Err(error) if lacks_files(&error) => {
                    return ControlFlow::Continue(Looked::WithoutFiles);
                }
                Err(error) => {
                    return scan
                        .on_corrupt(self.unreadable(&error))
                        .map_continue(|()| Looked::Through);
                }
            }
        }
        scan.show_long()?;
        ControlFlow::Continue(Looked::Through)
    }
}

struct Scan<'a, 'b> {
    prefix: &'a [u8],
    /// Long keys with one head that were not shown yet.
    long: Vec<(Bytes, Bytes)>,
    /// The least key that was not shown yet.
    unseen: Vec<u8>,
    visit: &'a mut Visitor<'b>,
}

impl Scan<'_, '_> {
    fn on_item(&mut self, engine_key: Bytes, record: Bytes) -> ControlFlow<()> {
        let of_group = |(key, _): &(Bytes, Bytes)| engine_key.starts_with(long_keys::head(key));
        if !self.long.first().is_some_and(of_group) {
            self.show_long()?;
        }
        if !long_keys::is_long(&engine_key) {
            return self.show(&engine_key, &record);
        }
        match long_keys::unwrap(&engine_key, &record) {
            Ok(unwrapped) => {
                self.long.push(unwrapped);
                ControlFlow::Continue(())
            }
            Err(corruption) => self.on_corrupt(corruption),
        }
    }

    fn on_corrupt(&mut self, corruption: Corrupt) -> ControlFlow<()> {
        self.show_long()?;
        (self.visit)(&self.unseen, Err(corruption))?;
        ControlFlow::Break(())
    }

    fn show_long(&mut self) -> ControlFlow<()> {
        let mut long = std::mem::take(&mut self.long);
        long.sort();
        long.iter().try_for_each(|(key, record)| self.show(key, record))
    }

    fn show(&mut self, key: &Bytes, record: &Bytes) -> ControlFlow<()> {
        if key[..] < *self.unseen || !key.starts_with(self.prefix) {
            return ControlFlow::Continue(());
        }
        self.unseen.clear();
        self.unseen.extend_from_slice(key);
        self.unseen.push(0);
        (self.visit)(key, Ok(record))
    }
}

/// Returns the least key that is greater than this.
fn next_to(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Returns the least key that is greater than all that begin with this; none, if there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
