//! The faults of a scenario: what is broken on purpose, and from when to when.
//!
//! Takes the tables `[[fault]]` and makes [`Fault`]s of them, in which every time is a [`Span`]
//! since the chaos phase began. What the kind of a fault says is parsed by its file in
//! [`crate::faults`].

use std::ops::Range;

use kv_core::time::Span;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::cluster::Cluster;
use super::error::Problem;
use super::key_doc::{KeyDoc, ValueDoc};
use super::quantity::{count, milliseconds};
use crate::faults::{FaultKeys, FaultKind, FaultWord};

/// Words that are reserved for faults which this version does not have yet.
const LATER: &[&str] = &["join", "leave", "replace", "upgrade", "downgrade"];

/// The keys that every kind of fault takes.
const COMMON: &[&str] = &["kind", "from_ms", "until_ms", "until", "every_ms", "times", "rolling"];

/// The word that stands for the end of a fault that never ends: `until = "never"`.
const NEVER: &str = "never";

/// The meaning of each key that every kind of fault takes.
pub(super) const KEYS_DOC: &[KeyDoc] = &[
    KeyDoc::new("kind", ValueDoc::Other("one of the words below, in quotes"), "what is broken"),
    KeyDoc::ms("from_ms", "when it begins, from the beginning of the chaos phase"),
    KeyDoc::ms("until_ms", "when it ends; a `clock-step` and `bit-rot` need no end")
        .or_else("required, but for these"),
    KeyDoc::new("until", ValueDoc::Word(&[NEVER]), "instead of `until_ms`, for what stays broken")
        .or_else("it ends"),
    KeyDoc::ms("every_ms", "the time from one beginning to the next; longer than it lasts")
        .or_else("required, if it happens more than once"),
    KeyDoc::new("times", ValueDoc::Whole(1, 10_000), "how often it happens")
        .or_else("1; if it is rolling, once for each victim"),
    KeyDoc::new(
        "rolling",
        ValueDoc::Flag,
        "whether it goes from node to node: of the `nodes` that are named, or of all in a drawn \
         order, each occurrence hits the next, or the next `random`",
    )
    .or("false"),
];

/// A fault: something that is broken on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of the fault, with its victims.
    pub kind: FaultKind,
    /// The time at which the fault first begins, since the chaos phase began.
    pub from: Span,
    /// The time at which it first ends; later than `from`. None if it has no end: it lasts for ever
    /// ([`Fault::is_lasting`]), or it is of a kind that needs none.
    pub until: Option<Span>,
    /// The number of times that the fault happens; at least 1.
    pub times: u32,
    /// The time from one beginning to the next; longer than one occurrence. Zero if it happens
    /// once.
    pub every: Span,
    /// True if the fault goes from node to node: of the victims that are named, or of all nodes in
    /// a drawn order, each occurrence hits the next.
    pub rolling: bool,
}

/// One occurrence of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The time at which the occurrence begins, since the chaos phase began.
    pub from: Span,
    /// The time at which the occurrence ends; none if it has no end.
    pub until: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimesKeys {
    from_ms: Spanned<u64>,
    until_ms: Option<Spanned<u64>>,
    until: Option<Spanned<String>>,
    every_ms: Option<Spanned<u64>>,
    times: Option<Spanned<u64>>,
    rolling: Option<Spanned<bool>>,
}

impl Fault {
    /// The occurrences of the fault, the earliest first.
    pub fn occurrences(&self) -> impl Iterator<Item = Occurrence> + '_ {
        (0..u64::from(self.times)).map(|number| {
            let later = self.every.times(number);
            Occurrence { from: self.from + later, until: self.until.map(|until| until + later) }
        })
    }

    /// True if the fault never ends, so that what it breaks is broken for the rest of the run.
    pub fn is_lasting(&self) -> bool {
        self.until.is_none() && self.kind.word().must_end
    }

    /// The time that each occurrence lasts, if it has an end.
    pub fn lasts(&self) -> Option<Span> {
        self.until.map(|until| until - self.from)
    }

    /// The time at which the last occurrence has ended, since the chaos phase began.
    pub fn end(&self) -> Span {
        self.until.unwrap_or(self.from) + self.every.times(u64::from(self.times) - 1)
    }
}

/// Parses the fault that a table `[[fault]]` describes.
pub(super) fn parse(table: Spanned<DeValue<'_>>, cluster: &Cluster) -> Result<Fault, Problem> {
    let span = table.span();
    let DeValue::Table(mut keys) = table.into_inner() else {
        return Err(Problem::at(span, "a fault is a table").label("write [[fault]]"));
    };
    let Some(word) = keys.remove("kind") else {
        return Err(Problem::at(span, "this fault has no `kind`")
            .label("what is broken?")
            .help(format!("kind is one of: {}", FaultWord::names().join(", "))));
    };
    let word_span = word.span();
    let DeValue::String(word) = word.into_inner() else {
        return Err(Problem::at(word_span, "the kind of a fault is a word in quotes"));
    };
    let mut shared = DeTable::new();
    for key in COMMON {
        if let Some((key, value)) = keys.remove_entry(*key) {
            shared.insert(key, value);
        }
    }
    let times: TimesKeys = FaultKeys::new(span.clone(), shared, &[]).parse()?;
    let word = FaultWord::find(&word).ok_or_else(|| unknown_kind(word_span, &word))?;
    let kind = (word.parse)(&FaultKeys::new(span.clone(), keys, COMMON), cluster)?;
    scheduled(kind, &times, span, cluster)
}

fn unknown_kind(span: Range<usize>, word: &str) -> Problem {
    let words = FaultWord::names();
    if LATER.contains(&word) {
        let message = format!("`{word}` is a known fault that this version does not have yet");
        return Problem::at(span, message)
            .label("not yet")
            .help(format!("this version has: {}", words.join(", ")));
    }
    Problem::unknown_word(span, "fault", word, &words)
}

/// The number of times that a fault happens which goes once from node to node; none, if it does not
/// go.
fn rounds(
    kind: &FaultKind,
    rolling: Option<&Spanned<bool>>,
    cluster: &Cluster,
) -> Result<Option<u32>, Problem> {
    let Some(rolling) = rolling.filter(|rolling| *rolling.get_ref()) else { return Ok(None) };
    let Some(victims) = kind.victims() else {
        return Err(Problem::at(
            rolling.span(),
            "this fault goes from node to node, and hits no nodes",
        )
        .label("a fault of links")
        .help("such as kind = \"kill\" or kind = \"pause\""));
    };
    let (candidates, at_once) = victims.in_turn(cluster.nodes.len());
    Ok(Some(candidates.div_ceil(at_once) as u32))
}

fn scheduled(
    kind: FaultKind,
    times: &TimesKeys,
    span: Range<usize>,
    cluster: &Cluster,
) -> Result<Fault, Problem> {
    let from = milliseconds(&times.from_ms)?;
    let until = until(&kind, from, times, span.clone())?;
    let rounds = rounds(&kind, times.rolling.as_ref(), cluster)?;
    let often = match (&times.times, &times.until) {
        (Some(often), Some(_)) => {
            return Err(Problem::at(often.span(), "a fault that never ends happens once")
                .label("it cannot begin again"));
        }
        (Some(often), None) => count(often, "times", 1..=10_000)? as u32,
        (None, Some(_)) => 1,
        (None, None) => rounds.unwrap_or(1),
    };
    let every = match (&times.every_ms, often) {
        (None, 1) => Span::ZERO,
        (None, _) => {
            return Err(
                Problem::at(span, format!("{often} times, but how often?")).label("give every_ms")
            );
        }
        (Some(every_ms), 1) => {
            return Err(Problem::at(every_ms.span(), "this fault happens once")
                .label("give times as well")
                .help("times = 5 repeats it until it has happened five times"));
        }
        (Some(every_ms), _) => {
            let every = milliseconds(every_ms)?;
            if every <= until.unwrap_or(from) - from {
                return Err(Problem::at(every_ms.span(), "this fault begins again before it ends")
                    .label("must be longer than from_ms to until_ms"));
            }
            every
        }
    };
    Ok(Fault { kind, from, until, times: often, every, rolling: rounds.is_some() })
}

/// Parses the end of a fault that begins at `from`: none, if it lasts for ever or needs none.
fn until(
    kind: &FaultKind,
    from: Span,
    times: &TimesKeys,
    span: Range<usize>,
) -> Result<Option<Span>, Problem> {
    match (&times.until_ms, &times.until) {
        (Some(until_ms), None) => {
            let until = milliseconds(until_ms)?;
            if until <= from {
                return Err(Problem::at(until_ms.span(), "this fault ends before it begins")
                    .label(format!("must be later than from_ms = {}", from.as_ms())));
            }
            Ok(Some(until))
        }
        (None, Some(word)) if word.get_ref() != NEVER => {
            Err(Problem::unknown_word(word.span(), "end", word.get_ref(), &[NEVER])
                .help("until_ms = 2000 ends it, until = \"never\" does not"))
        }
        (None, Some(word)) if !kind.may_last() => {
            let message = format!("this {} cannot last for ever", kind.name());
            Err(Problem::at(word.span(), message).label("it must end, or happens at one moment").help(
                "a kill, a pause, a wipe, an outage, an io-error and a full disk may last; so may a \
                 partition or a clog that is of all messages and does not flap",
            ))
        }
        (None, Some(_)) => Ok(None),
        (Some(_), Some(word)) => {
            Err(Problem::at(word.span(), "a fault has one end").label("until_ms is given as well"))
        }
        (None, None) if kind.word().must_end => Err(Problem::at(
            span,
            "the key `until_ms` is missing",
        )
        .label("when does it end?")
        .help(
            "until_ms = 2000, or until = \"never\" for what stays broken; only a clock-step and \
                 bit-rot need no end",
        )),
        (None, None) => Ok(None),
    }
}
