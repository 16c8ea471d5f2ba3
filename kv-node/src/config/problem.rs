//! The problems of a configuration, told so that its author can fix them: the place, the problem
//! and the remedy. Every problem of a file is shown, not the first alone. An error makes a node
//! refuse to start; with a warning it starts, and logs it.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};

use crate::nearest::nearest;

/// The number of columns in which a problem is drawn.
const WIDTH: usize = 100;

/// The reason why there is no configuration to run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// The path of the file.
        path: String,
        /// The operating system's reason.
        reason: String,
    },
    /// The file was read, but at least one finding is an error.
    Invalid(Findings),
}

/// The problems that were found in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The path of the file.
    path: String,
    /// The text of the file.
    text: Arc<str>,
    /// The problems, in the order of the file.
    problems: Vec<ConfigProblem>,
}

/// The consequence of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSeverity {
    /// The node does not start with this configuration.
    Error,
    /// The node starts, but its operator probably wants something else.
    Warning,
}

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The consequence of the problem.
    pub severity: ConfigSeverity,
    /// The problem in words.
    pub message: String,
    /// The text beside the caret.
    pub label: String,
    /// The remedy, if there is one.
    pub help: Option<String>,
    /// The range in bytes from the start of the text; `None`, if the value came from the command
    /// line or the environment.
    pub span: Option<Range<usize>>,
}

impl ConfigProblem {
    /// Creates an error at a place.
    pub(super) fn at(
        span: Option<Range<usize>>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        let (severity, message, label) = (ConfigSeverity::Error, message.into(), label.into());
        Self { severity, message, label, help: None, span }
    }

    /// Turns the problem into a warning.
    pub(super) fn warning(self) -> Self {
        Self { severity: ConfigSeverity::Warning, ..self }
    }

    /// Adds the remedy.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Creates the error for an unknown word: offers the nearest known one and lists them all.
    pub(super) fn unknown_word(span: Range<usize>, what: &str, word: &str, known: &[&str]) -> Self {
        let label = match nearest(word, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("no such {what}"),
        };
        let message = format!("unknown {what} `{word}`");
        Self::at(Some(span), message, label).help(format!("known here: {}", known.join(", ")))
    }

    /// Rephrases an error of TOML or serde: `u64` means nothing to an operator.
    pub(super) fn from_toml(error: &toml::de::Error, fallback: Range<usize>) -> Self {
        let span = error.span().unwrap_or(fallback);
        let message = error.message();
        for (prefix, what) in [("unknown field `", "key"), ("unknown variant `", "word")] {
            if message.starts_with(prefix)
                && let [word, known @ ..] = &*quoted_words(message)
            {
                return Self::unknown_word(span, what, word, known);
            }
        }
        if message.starts_with("missing field `")
            && let [key, ..] = *quoted_words(message)
        {
            let label = format!("this needs `{key}`");
            return Self::at(Some(span), format!("the key `{key}` is missing"), label);
        }
        match mismatch(message) {
            Some((found, expected)) => {
                let message = format!("expected {expected}, found {found}");
                Self::at(Some(span), message, format!("expected {expected}"))
            }
            None => Self::at(Some(span), message, "here"),
        }
    }
}

impl ConfigError {
    /// Renders the error for people: several lines, ending with a newline.
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Unreadable { .. } => format!("  × {self}\n"),
            Self::Invalid(findings) => findings.render(colour),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => write!(f, "{path} cannot be read: {reason}"),
            Self::Invalid(Findings { path, problems, .. }) => {
                let first = problems.first().map_or("", |problem| &problem.message);
                write!(f, "{path}: {first}")
            }
        }
    }
}

impl Findings {
    /// Collects the problems that were found in the text of a file.
    pub(super) fn new(path: &str, text: &str, mut problems: Vec<ConfigProblem>) -> Self {
        if problems.is_empty() {
            return Self::default();
        }
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        Self { path: path.to_owned(), text: text.into(), problems }
    }

    /// Tells whether a finding is an error, so that nothing can be started.
    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == ConfigSeverity::Error)
    }

    /// Renders each problem in one line, for the log.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|ConfigProblem { message, help, .. }| match help {
            Some(help) => format!("{message}: {help}"),
            None => message.clone(),
        })
    }

    /// Tells whether nothing was found.
    pub const fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Renders all problems for people, each with its lines of the file; ends with a newline.
    pub fn render(&self, colour: bool) -> String {
        let drawing = |problem| Drawing {
            problem,
            text: NamedSource::new(&self.path, Arc::clone(&self.text)),
        };
        self.problems.iter().map(|problem| drawing(problem).render(colour)).collect()
    }
}

impl Error for ConfigError {}

/// Returns the words between backquotes.
fn quoted_words(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// Returns the value that was found and the one that was expected, in an operator's words.
fn mismatch(message: &str) -> Option<(&str, &str)> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.split_once(", expected ")?;
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below zero",
        "a boolean" => "true or false",
        "a string" => "a text in quotes",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    Some((found, expected))
}

/// A problem with the text on which it is drawn.
#[derive(Debug)]
struct Drawing<'a> {
    problem: &'a ConfigProblem,
    text: NamedSource<Arc<str>>,
}

impl Drawing<'_> {
    fn render(&self, colour: bool) -> String {
        let theme =
            if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(WIDTH)
            .with_links(false)
            .without_syntax_highlighting();
        let mut drawn = String::new();
        // Writing to a string cannot fail; a text that cannot be drawn is still said.
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
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            ConfigSeverity::Error => miette::Severity::Error,
            ConfigSeverity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.problem.span.as_ref().map(|_| &self.text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = first_line(self.text.inner(), self.problem.span.clone()?);
        let label = self.problem.label.clone();
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some(label), span))))
    }
}

/// Cuts a span to its first line: a caret below ten lines points at nothing.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let start = span.start.min(text.len());
    let end = span.end.clamp(start, text.len());
    let line = text.get(start..end).and_then(|spanned| spanned.lines().next()).unwrap_or("");
    start..start + line.len()
}
