//! The list of tables as the `lsm-tree` crate writes it, held against checksums before it is believed.
//!
//! `current` names the version of the list and its checksum; `v<version>` is the list, with the checksum
//! of each table. A table whose file differs from that and yet can be read to its end is not the one that
//! was written: it came from another time, or from another table. One of which a part cannot be read is
//! the one that was written, and rots.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use super::OpenTablesError;
use super::opened_table::{OpenedTable, is_of_content};
use crate::storage::progress::StartProgress;

/// The bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The list of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The version of the list.
    pub(super) version: u64,
    /// The tables, the oldest first: of two that hold one key, the later one has the newer record.
    pub(super) tables: Vec<Listed>,
}

/// A table of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: u64,
    pub(super) checksum: u128,
}

/// The path of a table.
pub(super) fn path_of(folder: &Path, id: u64) -> PathBuf {
    folder.join("tables").join(id.to_string())
}

/// The finding about tables that are to be opened.
#[derive(Debug)]
pub(super) enum Checked {
    /// They can be opened, or there are none yet.
    Fit { version: u64 },
    /// They cannot be opened as they are, for the reason that is given.
    Unfit(String),
}

/// The number of tables from which on one with a block that cannot be read is not fit, even if no other
/// node holds what was in it: since then they were not merged.
const WITHOUT_MERGES_MAX: usize = 100;

/// Checks whether tables are fit to be opened. A table with a block that cannot be read is fit unless
/// `has_others`: unless what was in it can be copied from other nodes.
///
/// # Errors
/// [`OpenTablesError`], if the system does not let it be known, or something else lies there.
pub(super) fn check(folder: &Path, has_others: bool) -> Result<Checked, OpenTablesError> {
    if !folder.try_exists().map_err(OpenTablesError::at(folder))? {
        return Ok(Checked::Fit { version: 0 });
    }
    find_strays(folder)?;
    let manifest = match read(folder) {
        Ok(manifest) => manifest,
        Err(unread) => return unread.or_system(folder).map(Checked::Unfit),
    };
    let sizes = manifest
        .tables
        .iter()
        .map(|table| std::fs::metadata(path_of(folder, table.id)).map_or(0, |file| file.len()));
    let (all, mut done) = (sizes.sum(), 0);
    let mut progress = StartProgress::new("checking the tables");
    for table in &manifest.tables {
        let path = path_of(folder, table.id);
        let state = TableState::of(&path, *table, |bytes| {
            done += bytes;
            progress.on(done, all);
        });
        let words = match state.map_err(OpenTablesError::at(&path))? {
            TableState::Sound => continue,
            TableState::Rots if !has_others && manifest.tables.len() < WITHOUT_MERGES_MAX => {
                tracing::error!(
                    table = %path.display(),
                    "a part of this table cannot be read: the records in it are corrupt, and no other \
                     node holds them. Bring the file back from a backup; look at the disk and its log of \
                     errors"
                );
                continue;
            }
            TableState::Rots => "has a part that cannot be read",
            TableState::Foreign => {
                "is not the table that was written under this name: it is of another time, or another one"
            }
            TableState::Unreadable => "is missing, cut, or no table",
        };
        return Ok(Checked::Unfit(format!("{} {words}", path.display())));
    }
    Ok(Checked::Fit { version: manifest.version })
}

/// Looks for files that are no tables, with which the tables would not be opened.
fn find_strays(folder: &Path) -> Result<(), OpenTablesError> {
    let tables = folder.join("tables");
    let entries = match std::fs::read_dir(&tables) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpenTablesError::at(&tables)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(OpenTablesError::at(&tables))?;
        let is_named = entry.file_name().to_str().is_some_and(|name| name.parse::<u64>().is_ok());
        let is_file = entry.file_type().map_err(OpenTablesError::at(&tables))?.is_file();
        if !is_named || !is_file {
            return Err(OpenTablesError::Stray { path: entry.path() });
        }
    }
    Ok(())
}

/// The state of the file of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableState {
    /// It is as it was written.
    Sound,
    /// It is the one that was written, and a part of it cannot be read.
    Rots,
    /// All of it can be read, and it is not the one that was written.
    Foreign,
    /// It is not there, or not even its index can be read.
    Unreadable,
}

impl TableState {
    /// Holds a file against its checksum. `progress` is told of each piece that was read.
    pub(super) fn of(path: &Path, table: Listed, progress: impl FnMut(u64)) -> io::Result<Self> {
        match checksum(path, progress) {
            Ok(checksum) if checksum == table.checksum => return Ok(Self::Sound),
            Ok(_) => {}
            Err(error) if is_of_content(&error) => return Ok(Self::Unreadable),
            Err(error) => return Err(error),
        }
        let Some(opened) = OpenedTable::open(path, table.id)? else { return Ok(Self::Unreadable) };
        let reads_all = !opened.lacks_filter && opened.table.iter().all(|item| item.is_ok());
        Ok(if reads_all { Self::Foreign } else { Self::Rots })
    }
}

/// The reason why there is no list.
#[derive(Debug)]
pub(super) struct Unread {
    path: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Content(String),
    Version,
    System(io::Error),
}

impl Unread {
    /// The reason in words, or the error if it is not the content that is at fault.
    fn or_system(self, folder: &Path) -> Result<String, OpenTablesError> {
        match self.why {
            Why::Content(why) => Ok(format!("{} {why}", self.path.display())),
            Why::Version => Err(OpenTablesError::Version { path: folder.into() }),
            Why::System(error) if is_of_content(&error) => {
                Ok(format!("{}: {error}", self.path.display()))
            }
            Why::System(error) => Err(OpenTablesError::at(&self.path)(error)),
        }
    }
}

/// Reads the list of tables in a folder.
pub(super) fn read(folder: &Path) -> Result<Manifest, Unread> {
    let current = folder.join("current");
    let (version, expected) = read_current(&current)?;
    let path = folder.join(format!("v{version}"));
    let at = |why| Unread { path: path.clone(), why };
    let found = checksum(&path, |_| {}).map_err(|error| at(Why::System(error)))?;
    if found != expected {
        return Err(at(Why::Content("does not have the checksum that it was written with".into())));
    }
    let tables = read_list(&path).map_err(at)?;
    Ok(Manifest { version, tables })
}

/// The newest list that can be read at all, whether or not it is the present one.
pub(super) fn newest_readable(folder: &Path) -> Manifest {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let version = entry.file_name().to_str()?.strip_prefix('v')?.parse::<u64>().ok()?;
        Some(Manifest { version, tables: read_list(&entry.path()).ok()? })
    });
    named.max_by_key(|manifest| manifest.version).unwrap_or_default()
}

/// Reads which version of the list is the present one, and its checksum.
fn read_current(path: &Path) -> Result<(u64, u128), Unread> {
    let at = |why| Unread { path: path.into(), why };
    let bytes = std::fs::read(path).map_err(|error| at(Why::System(error)))?;
    let content = || {
        let (version, rest) = bytes.split_first_chunk()?;
        let (checksum, kind) = rest.split_first_chunk()?;
        (kind == [0]).then(|| (u64::from_le_bytes(*version), u128::from_le_bytes(*checksum)))
    };
    content().ok_or_else(|| {
        at(Why::Content("does not say which list of tables is the present one".into()))
    })
}

/// Reads a list.
fn read_list(path: &Path) -> Result<Vec<Listed>, Why> {
    let archive = sfa::Reader::new(path).map_err(|error| match error {
        sfa::Error::Io(error) => Why::System(error),
        _ => Why::Version,
    })?;
    let section = archive.toc().section(b"tables").ok_or(Why::Version)?;
    let mut bytes = Vec::new();
    let mut reader = section.buf_reader(path).map_err(Why::System)?;
    reader.read_to_end(&mut bytes).map_err(Why::System)?;
    parse(&bytes).ok_or(Why::Version)
}

/// Parses the levels of the list, the newest first, each with its runs, the newest first.
fn parse(mut bytes: &[u8]) -> Option<Vec<Listed>> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (taken, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*taken)
    }
    let (bytes, mut tables) = (&mut bytes, Vec::new());
    for _level in 0..u8::from_le_bytes(take(bytes)?) {
        for _run in 0..u8::from_le_bytes(take(bytes)?) {
            for _table in 0..u32::from_le_bytes(take(bytes)?) {
                let id = u64::from_le_bytes(take(bytes)?);
                let [0] = take(bytes)? else { return None };
                let checksum = u128::from_le_bytes(take(bytes)?);
                let _global_seqno: [u8; 8] = take(bytes)?;
                tables.push(Listed { id, checksum });
            }
        }
    }
    tables.reverse();
    bytes.is_empty().then_some(tables)
}

/// Sums up a file. `progress` is told of each piece that was read.
fn checksum(path: &Path, mut progress: impl FnMut(u64)) -> io::Result<u128> {
    let mut file = File::open(path)?;
    let (mut hasher, mut chunk) = (Xxh3Default::new(), vec![0; CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.digest128()),
            read => {
                hasher.update(&chunk[..read]);
                progress(read as u64);
            }
        }
    }
}
