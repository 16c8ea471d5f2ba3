//! Errors in a scenario, told so that its author can correct them: where, what, and what to do.
//!
//! Takes the errors of TOML and serde, and our own. Makes one [`ScenarioError`] per file, which
//! carries every [`Problem`] that could be found in it and draws each with its line and a caret.
//!
//! A message of serde is rephrased here (`u64` means nothing to the author of a scenario), and an
//! unknown word is answered with the nearest known one.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};

/// The least similarity of two words of which one is offered for the other, from 0 (none) to 1.
const SIMILARITY_MIN: f64 = 0.55;

/// The number of columns in which a problem is drawn.
const WIDTH: usize = 100;

/// The reason why there is no scenario to run.
#[derive(Clone, Debug)]
pub enum ScenarioError {
    /// There is no such file, and none of that name in a folder `scenarios`.
    NotFound {
        /// The path or name that was asked for.
        wanted: String,
        /// The folder `scenarios` that was searched, if there is one here or above.
        folder: Option<PathBuf>,
        /// The most similar name in that folder.
        nearest: Option<String>,
    },
    /// The file is there and cannot be read.
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The operating system's reason.
        reason: String,
    },
    /// The file was read and is no valid scenario.
    Invalid {
        /// The path of the file, as it is shown to people.
        path: String,
        /// The whole text of the file.
        text: Arc<str>,
        /// The problems of the text, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

/// A problem in the text of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The sentence that names the problem.
    pub message: String,
    /// The words beside the caret.
    pub label: String,
    /// The advice on what to do about the problem.
    pub help: Option<String>,
    /// The place of the problem, in bytes from the start of the text.
    pub span: Range<usize>,
}

/// The choice whether escape sequences for colour are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Text with escape sequences: for a terminal, or for a stream that strips them.
    Ansi,
    /// Plain text, without escape sequences.
    Plain,
}

/// Collects problems, so that an author sees all of them and not one per attempt.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl ScenarioError {
    /// Renders the error as people read it: several lines, ending with a newline.
    pub fn render(&self, colour: Colour) -> String {
        match self {
            Self::NotFound { .. } | Self::Unreadable { .. } => format!("  × {self}\n"),
            Self::Invalid { path, text, problems } => problems
                .iter()
                .map(|problem| Drawing { problem, text: NamedSource::new(path, text.clone()) })
                .map(|drawing| drawing.render(colour))
                .collect(),
        }
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { wanted, folder, nearest } => {
                write!(f, "there is no scenario `{wanted}`")?;
                match (folder, nearest) {
                    (None, _) => write!(f, ", and no folder `scenarios` here or above"),
                    (Some(folder), None) => write!(f, ", neither here nor in {}", folder.display()),
                    (Some(folder), Some(nearest)) => {
                        write!(f, " in {}: did you mean `{nearest}`?", folder.display())
                    }
                }
            }
            Self::Unreadable { path, reason } => {
                write!(f, "{} cannot be read: {reason}", path.display())
            }
            Self::Invalid { path, problems, .. } => {
                let more = match problems.len() {
                    0 | 1 => String::new(),
                    count => format!(" (and {} more)", count - 1),
                };
                let first = problems.first().map_or("", |problem| &problem.message);
                write!(f, "{path}: {first}{more}")
            }
        }
    }
}

impl Error for ScenarioError {}

impl Problem {
    /// Creates a problem at a place, with the sentence that names it.
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), label: "here".to_owned(), help: None, span }
    }

    /// Replaces the words beside the caret.
    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Adds advice on what to do.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Creates a problem for a word that is unknown here: offers the nearest known one and lists
    /// them all.
    pub(crate) fn unknown_word(
        span: Range<usize>,
        what: &str,
        word: &str,
        known: &[impl AsRef<str>],
    ) -> Self {
        let label = match nearest(word, known.iter().map(AsRef::as_ref)) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("no such {what}"),
        };
        let known: Vec<_> = known.iter().map(AsRef::as_ref).collect();
        Self::at(span, format!("unknown {what} `{word}`"))
            .label(label)
            .help(format!("known here: {}", known.join(", ")))
    }

    /// Rephrases an error of TOML or serde. `also_known` are keys that are allowed at this place
    /// beside those that serde lists.
    pub(crate) fn from_toml(
        error: &toml::de::Error,
        fallback: Range<usize>,
        also_known: &[&str],
    ) -> Self {
        let span = error.span().unwrap_or(fallback);
        let message = error.message();
        let unknown = [("unknown field `", "key"), ("unknown variant `", "word")];
        for (prefix, what) in unknown {
            if message.starts_with(prefix) {
                let mut words = quoted_words(message);
                let known: Vec<_> = words.split_off(1);
                let also = if what == "key" { also_known } else { &[] };
                let known: Vec<_> = known.iter().chain(also).copied().collect();
                return Self::unknown_word(span, what, words[0], &known);
            }
        }
        if message.starts_with("missing field `") {
            let key = quoted_words(message)[0];
            return Self::at(span, format!("the key `{key}` is missing"))
                .label(format!("this needs `{key}`"));
        }
        if let Some((found, expected)) = mismatch(message) {
            return Self::at(span, format!("expected {expected}, found {found}"))
                .label(format!("expected {expected}"));
        }
        Self::at(span, message)
    }
}

impl Problems {
    /// Keeps the problem of a result, if it has one, and returns the value.
    pub(super) fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }

    /// Fails with the problems in the order of the text, if there are any.
    pub(super) fn into_result(mut self) -> Result<(), Vec<Problem>> {
        self.0.sort_by_key(|problem| problem.span.start);
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Finds the known word that is most similar to `word`, if one is similar and more so than all
/// others: to offer `n1` for `n9` would be a guess.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut similar: Vec<_> = known
        .map(|candidate| {
            let similarity = strsim::jaro_winkler(word, candidate);
            (strsim::osa_distance(word, candidate), -similarity, candidate)
        })
        .filter(|(distance, dissimilarity, candidate)| {
            let changed_mostly = 2 * distance > word.len().max(candidate.len());
            -dissimilarity >= SIMILARITY_MIN && !changed_mostly
        })
        .collect();
    similar.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
    match similar[..] {
        [] => None,
        [first, second, ..] if (first.0, first.1) == (second.0, second.1) => None,
        [(_, _, candidate), ..] => Some(candidate),
    }
}

/// Writes a number of things: `1 owner`, `3 owners`.
pub(super) fn plural(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// The words between backquotes in a message.
fn quoted_words(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// Splits serde's message into what was found and what was expected, in the words of a scenario's
/// author.
fn mismatch(message: &str) -> Option<(&str, String)> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .or_else(|| message.strip_prefix("invalid length "))?;
    let (found, expected) = rest.split_once(", expected ")?;
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below zero".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        struct_name if struct_name.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    };
    Some((found, expected))
}

/// A problem with the text that it is drawn on, for `miette`.
#[derive(Debug)]
struct Drawing<'a> {
    problem: &'a Problem,
    text: NamedSource<Arc<str>>,
}

impl Drawing<'_> {
    fn render(&self, colour: Colour) -> String {
        let theme = match colour {
            Colour::Ansi => GraphicalTheme::unicode(),
            Colour::Plain => GraphicalTheme::unicode_nocolor(),
        };
        let mut drawn = String::new();
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(WIDTH)
            .with_links(false)
            .without_syntax_highlighting();
        // Writing to a string cannot fail; a problem that cannot be drawn is still told.
        if handler.render_report(&mut drawn, self).is_err() {
            drawn = format!("  × {}\n", self.problem.message);
        }
        drawn
    }
}

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl Error for Drawing<'_> {}

impl Diagnostic for Drawing<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = first_line(self.text.inner(), self.problem.span.clone());
        let label = self.problem.label.clone();
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some(label), span))))
    }
}

/// Cuts a span to the part on its first line: a caret below ten lines points at nothing.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let start = span.start.min(text.len());
    let end = span.end.clamp(start, text.len());
    let line = text.get(start..end).and_then(|spanned| spanned.lines().next()).unwrap_or("");
    start..start + line.len()
}
