//! New tables out of old ones that are not fit to be opened: one is missing, cut, or of another time, or
//! the list of them cannot be read.
//!
//! What can be read of those that are listed is written anew, the oldest first, so that the newest record
//! of each key that can be read is the one that is found. The old ones are kept beside, as
//! `tables.corrupt-<n>`: what could not be read may be worth more to somebody than the room that it takes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kv_core::store::StoreFault;
use lsm_tree::InternalValue;

use super::manifest::{self, Manifest, TableState};
use super::opened_table::OpenedTable;
use super::{OpenTablesError, TableTerms, Tables};
use crate::storage::sealed::sync_directory;

/// The bytes of records that are gathered before they are written.
const GATHERED_BYTES: usize = 32 << 20;

fn unfinished(folder: &Path) -> PathBuf {
    folder.with_extension("new")
}

/// Ends what a crash may have interrupted: new tables that are not in their place are either all there,
/// with the old ones already beside them, or of no use.
pub(super) fn finish(folder: &Path) -> io::Result<()> {
    let unfinished = unfinished(folder);
    if !unfinished.try_exists()? {
        return Ok(());
    }
    if folder.try_exists()? {
        return std::fs::remove_dir_all(unfinished);
    }
    std::fs::rename(unfinished, folder)?;
    sync_directory(folder.parent().expect("it is not the root"))
}

/// Makes new tables of what can be read of those in a folder, and puts them into their place.
pub(super) fn rebuild(folder: &Path, terms: &TableTerms) -> Result<Tables, OpenTablesError> {
    let at = |error: io::Error| OpenTablesError::System { path: folder.into(), source: error };
    let unfinished = unfinished(folder);
    let open = |path: &Path| {
        Tables::open(path, terms).map_err(|error| match error {
            lsm_tree::Error::Io(error) => at(error),
            error => at(io::Error::other(error.to_string())),
        })
    };
    let tables = open(&unfinished)?;
    let written = copy(folder, &tables);
    drop(tables);
    written.map_err(at)?;
    let parent = folder.parent().expect("it is not the root");
    let kept = free_name(folder).map_err(at)?;
    std::fs::rename(folder, &kept).map_err(at)?;
    sync_directory(parent).map_err(at)?;
    finish(folder).map_err(at)?;
    tracing::error!(
        kept = %kept.display(),
        "new tables were made; the old ones are kept here, and nothing needs them: delete them when the \
         node is complete"
    );
    open(folder)
}

/// A name for tables that are kept.
fn free_name(folder: &Path) -> io::Result<PathBuf> {
    for number in 1_u32.. {
        let name = folder.with_extension(format!("corrupt-{number}"));
        if !name.try_exists()? {
            return Ok(name);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Copies what can be read.
fn copy(folder: &Path, to: &Tables) -> io::Result<()> {
    let mut gathered = BTreeMap::<Bytes, InternalValue>::new();
    let mut bytes = 0;
    let manifest = manifest::read(folder);
    let Manifest { tables, .. } = manifest.unwrap_or_else(|_| manifest::newest_readable(folder));
    let (listed, mut whole, mut records) = (tables.len(), 0, 0_u64);
    for listed in tables {
        let path = manifest::path_of(folder, listed.id);
        let state = TableState::of(&path, listed, |_| {})?;
        whole += usize::from(state == TableState::Sound);
        // What is not the table that was written may say anything.
        let copied = [TableState::Sound, TableState::Rots].contains(&state);
        let Some(opened) = OpenedTable::open(&path, listed.id)?.filter(|_| copied) else {
            continue;
        };
        opened.for_each_readable(|item| {
            bytes += item.key.user_key.len() + item.value.len();
            records += 1;
            gathered.insert(item.key.user_key.clone().into(), item);
        });
        if bytes >= GATHERED_BYTES {
            write(to, &mut gathered)?;
            bytes = 0;
        }
    }
    write(to, &mut gathered)?;
    tracing::error!(listed, whole, records, "this is what could be read of the tables");
    Ok(())
}

fn write(to: &Tables, gathered: &mut BTreeMap<Bytes, InternalValue>) -> io::Result<()> {
    let seqno = to.seqno.next();
    let items = std::mem::take(gathered).into_values().map(|mut item| {
        item.key.seqno = seqno;
        Ok(item)
    });
    to.register(items).map_err(|error| {
        let kind = match error.fault {
            StoreFault::Full => io::ErrorKind::StorageFull,
            StoreFault::OutOfFiles | StoreFault::Failed => io::ErrorKind::Other,
        };
        io::Error::new(kind, error.to_string())
    })
}
