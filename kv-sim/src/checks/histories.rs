//! The histories of all keys that were ever asked for.

use kv_core::types::{Key, RequestId, Token};
use kv_core::version::Content;

use super::Setting;
use super::history::{History, HistoryIndex, WriteIndex, WriteRequest};
use crate::hashing::{RequestHasher, Table};
use crate::ledger::Ledger;

/// The histories of all keys that were ever asked for.
#[derive(Clone, Debug)]
pub(super) struct Histories {
    keyed: Keyed,
    /// The write that each request id was first given to.
    writes: Ledger<RequestId, (HistoryIndex, WriteIndex), RequestHasher>,
    /// The writes of further keys that clients gave an id to which they had used before.
    reused: Table<(RequestId, HistoryIndex), WriteIndex>,
}

/// The histories by their keys.
#[derive(Clone, Debug)]
struct Keyed {
    /// The histories' places by the tokens of their keys: no two keys share one.
    keys: Table<Token, HistoryIndex>,
    all: Vec<History>,
    /// The number of writes to make room for in each history.
    writes_each: usize,
}

impl Histories {
    /// Creates the histories of a run in which nothing was asked for yet.
    pub(super) fn new(setting: &Setting) -> Self {
        let keyed = Keyed {
            keys: Table::with_capacity_and_hasher(setting.keys, Default::default()),
            all: Vec::with_capacity(setting.keys),
            writes_each: setting.writes_each(),
        };
        // As a rule, half of the operations write.
        let writes = Ledger::with_room(setting.operations / 2);
        Self { keyed, writes, reused: Table::default() }
    }

    /// The history at this place.
    pub(super) fn at(&self, history: HistoryIndex) -> &History {
        &self.keyed.all[history]
    }

    /// The history at this place, to be changed.
    pub(super) fn at_mut(&mut self, history: HistoryIndex) -> &mut History {
        &mut self.keyed.all[history]
    }

    /// The history of a key; none if the key was never asked for.
    pub(super) fn of(&self, key: &Key) -> Option<&History> {
        self.keyed.keys.get(&key.token()).map(|&history| self.at(history))
    }

    /// The history of a key, to be changed; none if the key was never asked for.
    pub(super) fn of_mut(&mut self, key: &Key) -> Option<&mut History> {
        let Keyed { keys, all, .. } = &mut self.keyed;
        keys.get(&key.token()).map(|&history| &mut all[history])
    }

    /// All histories, in the order in which their keys were first asked for.
    pub(super) fn iter(&self) -> impl Iterator<Item = &History> {
        self.keyed.all.iter()
    }

    /// All histories in that order, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut History> {
        self.keyed.all.iter_mut()
    }

    /// Finds the history of a key, or adds it.
    pub(super) fn get_or_add(&mut self, key: &Key) -> HistoryIndex {
        self.keyed.get_or_add(key)
    }

    /// The write of a request to a key, if anything was heard of it.
    pub(super) fn write(
        &self,
        request: RequestId,
        key: &Key,
    ) -> Option<(HistoryIndex, WriteIndex)> {
        let first = self.writes.get(&request).copied()?;
        if self.keyed.all[first.0].key.token() == key.token() {
            return Some(first);
        }
        let history = *self.keyed.keys.get(&key.token())?;
        self.reused.get(&(request, history)).map(|&write| (history, write))
    }

    /// Finds the write of a request to a key, or adds it as one that `asked` asked for: none, if no
    /// client of the simulator did.
    pub(super) fn write_or_add(
        &mut self,
        request: RequestId,
        asked: Option<WriteRequest>,
        key: &Key,
        content: &Content,
    ) -> (HistoryIndex, WriteIndex) {
        let Self { keyed, writes, reused } = self;
        let first = *writes.get_or_add_with(request, || {
            let history = keyed.get_or_add(key);
            (history, keyed.all[history].on_request(request, asked.clone(), content))
        });
        if keyed.all[first.0].key.token() == key.token() {
            return first;
        }
        let history = keyed.get_or_add(key);
        let add = || keyed.all[history].on_request(request, asked, content);
        (history, *reused.entry((request, history)).or_insert_with(add))
    }
}

impl Keyed {
    fn get_or_add(&mut self, key: &Key) -> HistoryIndex {
        if let Some(&history) = self.keys.get(&key.token()) {
            return history;
        }
        let history = self.all.len();
        self.all.push(History::new(history, key.clone(), self.writes_each));
        self.keys.insert(key.token(), history);
        history
    }
}
