//! Numbers, times and emphasis, as people read them in a terminal.

use anstyle::{AnsiColor, Style};
use kv_core::time::Span;

/// The style of headings.
pub const HEADING: Style = Style::new().bold();
/// The style of text to be looked up, not read.
pub const FAINT: Style = Style::new().dimmed();
/// The style of good results.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// The style of bad results.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// The style of results that prove nothing.
pub const DOUBT: Style = AnsiColor::Yellow.on_default();

/// Writes a span in seconds: `2.000 s`.
pub fn seconds(span: Span) -> String {
    format!("{}.{:03} s", span.as_ms() / 1_000, span.as_ms() % 1_000)
}

/// Writes a number of things: `1 run`, `2,000 runs`.
pub fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", thousands(number))
}

/// Writes a number in groups of three digits: `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let numbers = [0, 999, 1_000, 123_456, 1_234_567].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "123,456", "1,234,567"]);
    }
}
