//! The values of labels that metrics have.

/// What a client asked, as far as the count goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestVerb {
    /// It read.
    Get,
    /// It wrote a value.
    Put,
    /// It wrote a tombstone.
    Delete,
}

/// What came of a client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It was done.
    Done,
    /// It was refused, and nothing was done.
    Refused,
    /// The time was up.
    Unknown,
}

/// Which way bytes and messages went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To this node.
    In,
    /// From this node.
    Out,
}

/// Why a large message of a peer was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discarded {
    /// It was larger than is accepted.
    TooLarge,
    /// Too many others were being received.
    NoRoom,
}

impl RequestVerb {
    pub(super) const ALL: [Self; 3] = [Self::Get, Self::Put, Self::Delete];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

impl RequestOutcome {
    pub(super) const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Unknown];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl Discarded {
    pub(super) const ALL: [Self; 2] = [Self::TooLarge, Self::NoRoom];

    /// The reason in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NoRoom => "no-room",
        }
    }
}

impl Direction {
    pub(super) const ALL: [Self; 2] = [Self::In, Self::Out];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}
