//! Faults at work, the links that they disturb, and the messages under way.

use std::collections::BTreeMap;

use kv_core::message::Kind;
use serde::Serialize;

use crate::cluster::network::{Network, Way};
use crate::scenario::NodeIndex;

/// The state of a fault at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultState {
    /// The word for the fault in a scenario.
    pub kind: &'static str,
    /// The fault and its victims, in words.
    pub what: String,
    /// The time at which the fault ends, in microseconds, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_us: Option<u64>,
}

/// The state of a link that is not as usual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownLink {
    /// The sender.
    pub from: String,
    /// The addressee.
    pub to: String,
    /// The troubles of the link.
    pub troubles: Vec<Trouble>,
}

/// A trouble of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The kind of trouble.
    pub trouble: TroubleKind,
    /// The kinds of messages that the trouble hits; all, if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<&'static str>>,
}

/// The kind of trouble that messages on a link have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// Messages are dropped.
    Cut,
    /// Messages wait.
    Clogged,
    /// Messages may be lost, corrupt, overtaken or late.
    Disturbed,
}

/// The messages of one kind under way on one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnderWay {
    /// The sender.
    pub from: String,
    /// The addressee.
    pub to: String,
    /// The kind of the messages.
    pub kind: &'static str,
    /// The number of messages under way.
    pub messages: u64,
    /// The number of them that wait, as the link is clogged or the addressee is paused.
    pub waiting: u64,
}

/// Finds the troubles of the link from one node to another.
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
