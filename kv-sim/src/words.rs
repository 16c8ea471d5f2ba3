//! Numbers, times and emphasis, as people read them in a terminal.

use anstyle::{AnsiColor, Style};
use kv_core::time::Span;

/// The style of headings.
pub const HEADING: Style = Style::new().bold();
/// The style of what is there to be looked up, not read.
pub const FAINT: Style = Style::new().dimmed();
/// The style of what held.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// The style of what did not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// The style of what proves nothing.
pub const DOUBT: Style = AnsiColor::Yellow.on_default();

/// `2.000 s`.
pub fn seconds(span: Span) -> String {
    format!("{}.{:03} s", span.as_ms() / 1_000, span.as_ms() % 1_000)
}

/// `1 run`, `2,000 runs`.
pub fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", thousands(number))
}

/// `1,234,567`.
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
