//! Faults at work, the links that they disturb, and what is under way.

use std::collections::BTreeMap;

use kv_core::message::Kind;
use serde::Serialize;

use crate::network::{Network, Way};
use crate::scenario::NodeIndex;

/// A fault at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultState {
    /// Its word.
    pub kind: &'static str,
    /// What it does to whom, in words.
    pub what: String,
    /// When it ends, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_us: Option<u64>,
}

/// A link that is not as usual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkState {
    /// The sender.
    pub from: String,
    /// The addressee.
    pub to: String,
    /// What is wrong with it.
    pub troubles: Vec<Trouble>,
}

/// What is wrong with a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What happens.
    pub trouble: TroubleKind,
    /// To messages of these kinds; to all, if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<&'static str>>,
}

/// What happens to messages on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// They are dropped.
    Cut,
    /// They wait.
    Clogged,
    /// They may be lost, corrupt, overtaken or late.
    Disturbed,
}

/// Messages under way on one link, of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnderWay {
    /// The sender.
    pub from: String,
    /// The addressee.
    pub to: String,
    /// The kind.
    pub kind: &'static str,
    /// How many.
    pub messages: u64,
    /// How many of them wait, as the link is clogged or the addressee is paused.
    pub waiting: u64,
}

/// What is wrong with the link from one node to another.
pub(crate) fn troubles(network: &Network, from: NodeIndex, to: NodeIndex) -> Vec<Trouble> {
    let mut kinds: BTreeMap<TroubleKind, Vec<&'static str>> = BTreeMap::new();
    for &kind in Kind::ALL {
        let way = Way { from, to, kind: Some(kind) };
        let trouble = if network.is_cut(way) {
            TroubleKind::Cut
        } else if network.clog_of(way).is_some() {
            TroubleKind::Clogged
        } else if !network.is_nominal(way) {
            TroubleKind::Disturbed
        } else {
            continue;
        };
        kinds.entry(trouble).or_default().push(kind.name());
    }
    let trouble = |(trouble, kinds): (_, Vec<_>)| Trouble {
        trouble,
        messages: (kinds.len() < Kind::ALL.len()).then_some(kinds),
    };
    kinds.into_iter().map(trouble).collect()
}
