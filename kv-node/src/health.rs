//! The verdict on a node: facts in, problems out. Pure.
//!
//! A node is *ready* if it can serve what it promises: any default request, in most of the ring. A
//! problem either makes it not ready, so that a load balancer should send clients elsewhere, or it
//! is a warning: the node serves, and somebody should look.
//!
//! A problem of partitions makes a node not ready if it concerns half of them or more, of the ring
//! or of the node's own. Below that, other nodes would fail the same requests, as a rule; if all
//! nodes said "not ready" because of a few partitions, nobody would serve the rest.

use std::fmt;

use crate::inspection::{Inspection, PeerState, StorageFact};

/// The stage of a node's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingStage {
    /// The node opens its data.
    Starting,
    /// The node serves, unless a problem keeps it from that.
    Running,
    /// The node ends.
    Stopping,
}

/// The facts on which a verdict depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The stage of the node's life.
    pub stage: ServingStage,
    /// The state of the core; `None` if there is no core yet, or if it does not answer.
    pub core: Option<Inspection>,
    /// The number of lines of the log that were lost since the node started.
    pub log_lines_lost: u64,
}

/// A kind of problem. Its word is stable: operators' rules refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// The node opens its data.
    Starting,
    /// The node waits until its cluster is founded.
    WaitingToBeFounded,
    /// The node ends.
    Stopping,
    /// The core does not answer.
    CoreSilent,
    /// The storage failed.
    StorageFailed,
    /// The disk is full.
    DiskFull,
    /// The storage has no file descriptors left.
    OutOfFiles,
    /// No other member is heard.
    NoPeerHeard,
    /// Default requests cannot be met in some partitions.
    NoQuorum,
    /// The node does not hold all the data that it must.
    Incomplete,
    /// Writes may be lost for good, and an operator must accept that.
    LossUndecided,
    /// Records are corrupt, and not repaired yet.
    CorruptKeys,
    /// Members have another layout.
    LayoutRefused,
    /// Members are refused for another reason.
    PeerRefused,
    /// Members cannot be asked.
    PeersDown,
    /// Lines of the log were lost.
    LogLinesLost,
}

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthSeverity {
    /// The node cannot serve what it promises.
    NotReady,
    /// The node serves, but an operator should look.
    Warning,
}

/// A problem of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthProblem {
    /// The kind of the problem.
    pub code: Code,
    /// The severity of the problem.
    pub severity: HealthSeverity,
    /// The problem in words, with its numbers and names, and what to do.
    pub message: String,
}

/// The status of a node: the sum of its problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The node serves without problems.
    Ready,
    /// The node serves, with warnings.
    Degraded,
    /// Clients should go elsewhere.
    NotReady,
}

/// The problems of a node, the worst first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    problems: Vec<HealthProblem>,
}

impl Code {
    /// All kinds of problems.
    pub const ALL: [Self; 16] = [
        Self::Starting,
        Self::WaitingToBeFounded,
        Self::Stopping,
        Self::CoreSilent,
        Self::StorageFailed,
        Self::DiskFull,
        Self::OutOfFiles,
        Self::NoPeerHeard,
        Self::NoQuorum,
        Self::Incomplete,
        Self::LossUndecided,
        Self::CorruptKeys,
        Self::LayoutRefused,
        Self::PeerRefused,
        Self::PeersDown,
        Self::LogLinesLost,
    ];

    /// The kind in one word, as operators' rules refer to it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::WaitingToBeFounded => "waiting-to-be-founded",
            Self::Stopping => "stopping",
            Self::CoreSilent => "core-silent",
            Self::StorageFailed => "storage-failed",
            Self::DiskFull => "disk-full",
            Self::OutOfFiles => "out-of-files",
            Self::NoPeerHeard => "no-peer-heard",
            Self::NoQuorum => "no-quorum",
            Self::Incomplete => "incomplete",
            Self::LossUndecided => "loss-undecided",
            Self::CorruptKeys => "corrupt-keys",
            Self::LayoutRefused => "layout-refused",
            Self::PeerRefused => "peer-refused",
            Self::PeersDown => "peers-down",
            Self::LogLinesLost => "log-lines-lost",
        }
    }
}

impl HealthSeverity {
    /// The severity in one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotReady => "not-ready",
            Self::Warning => "warning",
        }
    }

    /// The severity of a problem that concerns `concerned` of `all` partitions.
    const fn of_share(concerned: u64, all: u64) -> Self {
        if concerned * 2 >= all { Self::NotReady } else { Self::Warning }
    }
}

impl Status {
    /// The status in one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not-ready",
        }
    }
}

impl Verdict {
    /// Judges a node by its facts.
    pub fn of(facts: &Facts) -> Self {
        let Facts { stage, core, log_lines_lost } = facts;
        let mut verdict = Self::default();
        match stage {
            ServingStage::Starting => verdict.not_ready(
                Code::Starting,
                "the node is starting: it opens its data, which takes the longer the more there is to replay",
            ),
            ServingStage::Stopping => verdict.not_ready(Code::Stopping, "the node is stopping"),
            ServingStage::Running if core.is_none() => verdict.not_ready(
                Code::CoreSilent,
                "the core of the node does not answer: its machine is overloaded, or it hangs",
            ),
            ServingStage::Running => {}
        }
        if let Some(inspection) = core {
            verdict.judge_storage(inspection.storage);
            verdict.judge_peers(inspection);
            if inspection.is_founded {
                verdict.judge_partitions(inspection);
            } else {
                verdict.not_ready(
                    Code::WaitingToBeFounded,
                    "the node waits: no member that it can reach knows the cluster. If the cluster is new, \
                     say `kv-node init` to one member, once",
                );
            }
        }
        if *log_lines_lost > 0 {
            verdict.warn(
                Code::LogLinesLost,
                format!(
                    "{log_lines_lost} lines of the log were lost since the node started: whoever reads its \
                     standard error is too slow, or gone"
                ),
            );
        }
        verdict.problems.sort_by_key(|problem| (problem.severity, problem.code));
        verdict
    }

    /// All problems, the worst first.
    pub fn problems(&self) -> &[HealthProblem] {
        &self.problems
    }

    /// Tells whether there is a problem of this kind.
    pub fn has(&self, code: Code) -> bool {
        self.problems.iter().any(|problem| problem.code == code)
    }

    /// The status that the problems add up to.
    pub fn status(&self) -> Status {
        match self.problems.iter().map(|problem| problem.severity).min() {
            None => Status::Ready,
            Some(HealthSeverity::Warning) => Status::Degraded,
            Some(HealthSeverity::NotReady) => Status::NotReady,
        }
    }

    fn judge_storage(&mut self, storage: StorageFact) {
        match storage {
            StorageFact::Writable => {}
            StorageFact::Full => self.not_ready(
                Code::DiskFull,
                "the disk is full: the node refuses writes and serves reads. Make room on the disk of its \
                 data; it takes writes again by itself",
            ),
            StorageFact::OutOfFiles => self.not_ready(
                Code::OutOfFiles,
                "no file descriptors are left for the storage: the node refuses writes and serves reads. Raise \
                 the limit (`ulimit -n`, `LimitNOFILE`); it takes writes again by itself",
            ),
            StorageFact::Failed => self.not_ready(
                Code::StorageFailed,
                "the storage failed: the node serves nothing any more and ends. The log says why",
            ),
        }
    }

    fn judge_peers(&mut self, inspection: &Inspection) {
        let peers = &inspection.peers;
        if !peers.is_empty() && !peers.iter().any(|peer| inspection.hears(peer)) {
            let message = format!(
                "none of the {} other members is heard: this node is cut off, or they do not run. See `members` \
                 for each, and the log",
                peers.len()
            );
            self.not_ready(Code::NoPeerHeard, message);
        }
        let of_another_layout = names(peers, |peer| peer.refused == Some("layout"));
        if !of_another_layout.is_empty() {
            let message = format!(
                "{of_another_layout} and this node refuse each other: their layouts differ. The tables [cluster] \
                 and [[member]] must be the same on all nodes"
            );
            self.warn(Code::LayoutRefused, message);
        }
        let refused = names(peers, |peer| peer.refused.is_some_and(|why| why != "layout"));
        if !refused.is_empty() {
            let message = format!(
                "{refused}: refused, as what answers at its address is not that member of this cluster. See the \
                 log, and compare the configurations"
            );
            self.warn(Code::PeerRefused, message);
        }
        let unasked = names(peers, |peer| peer.refused.is_none() && !peer.can_be_asked());
        if !unasked.is_empty() {
            self.warn(
                Code::PeersDown,
                format!("{unasked} cannot be asked: see `members` for each"),
            );
        }
    }

    fn judge_partitions(&mut self, inspection: &Inspection) {
        let Inspection { counts, partitions, quorums, out_of_reach, .. } = inspection;
        let (reads, writes) = (out_of_reach.reads, out_of_reach.writes);
        if reads > 0 || writes > 0 {
            let message = format!(
                "of {partitions} partitions, {reads} cannot be read with R = {} and {writes} cannot be written \
                 with W = {} ({} quorum): too few nodes that keep them can be asked",
                quorums.read, quorums.write, quorums.mode
            );
            let severity = HealthSeverity::of_share(reads.max(writes), *partitions);
            self.add(Code::NoQuorum, severity, message);
        }
        let (owned, complete) = (counts.partitions_owned, counts.partitions_complete);
        if complete < owned {
            let message = format!(
                "{complete} of the {owned} partitions that this node owns are complete: it lost data, and copies \
                 the rest from the other owners before it answers reads of it"
            );
            self.add(Code::Incomplete, HealthSeverity::of_share(owned - complete, owned), message);
        }
        let undecided = inspection.partitions_loss_undecided;
        if undecided > 0 {
            let message = format!(
                "of {undecided} partitions so many owners are incomplete that none can become complete again: \
                 acknowledged writes may be lost. Bring owners back that still hold the data, or accept the \
                 loss with `kv-node accept-loss`"
            );
            self.add(Code::LossUndecided, HealthSeverity::of_share(undecided, owned), message);
        }
        let corrupt = inspection.corrupt_keys;
        if corrupt > 0 {
            let message = format!(
                "the records of {corrupt} keys are corrupt: the other owners answer reads of them, and this \
                 node repairs them from what those hold"
            );
            self.warn(Code::CorruptKeys, message);
        }
    }

    fn not_ready(&mut self, code: Code, message: impl Into<String>) {
        self.add(code, HealthSeverity::NotReady, message);
    }

    fn warn(&mut self, code: Code, message: impl Into<String>) {
        self.add(code, HealthSeverity::Warning, message);
    }

    fn add(&mut self, code: Code, severity: HealthSeverity, message: impl Into<String>) {
        self.problems.push(HealthProblem { code, severity, message: message.into() });
    }
}

/// Members as people know them, beside their ids.
struct Names<'a>(Vec<&'a PeerState>);

fn names(peers: &[PeerState], wanted: impl Fn(&PeerState) -> bool) -> Names<'_> {
    Names(peers.iter().filter(|peer| wanted(peer)).collect())
}

impl Names<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The number of members that are named; more are only counted.
        const NAMED_MAX: usize = 10;
        for (index, peer) in self.0.iter().take(NAMED_MAX).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{} ({})", peer.name, peer.node)?;
        }
        match self.0.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests;
