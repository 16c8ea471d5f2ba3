//! What is said of the keys of a scenario, beside the definitions that parse them: the kind of value,
//! the bounds, the default, the meaning. The reference of all keys is made of this.

/// A key of a scenario, as its reference describes it.
#[derive(Clone, Copy, Debug)]
pub struct KeyDoc {
    /// The key as it stands in the file.
    pub name: &'static str,
    /// The kind of value.
    pub value: ValueDoc,
    /// The default.
    pub default: DefaultDoc,
    /// The meaning, in a few words or a sentence or two.
    pub about: &'static str,
}

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueDoc {
    /// A whole number within bounds.
    Whole(i64, u64),
    /// A whole number within bounds, or a list of the smallest and the largest of several.
    WholeOrRange(u64, u64),
    /// A list of the smallest and the largest number, both within bounds.
    Range(u64, u64),
    /// A number within bounds, with a decimal point where wanted.
    Decimal(f64, f64),
    /// A probability, 0 to 1.
    Probability,
    /// `true` or `false`.
    Flag,
    /// Any text in quotes.
    Text,
    /// One of these words, in quotes.
    Word(&'static [&'static str]),
    /// A list of some of these words.
    Words(&'static [&'static str]),
    /// The name of a node.
    Node,
    /// A list of names of nodes.
    Nodes,
    /// A table of its own section.
    Table(&'static str),
    /// Another kind, in words.
    Other(&'static str),
}

/// The value that a key has if the file does not give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultDoc {
    /// The key must be given.
    Required,
    /// The key may be left out, and then there is no such thing.
    Nothing,
    /// A value, as it would stand in the file.
    Value(&'static str),
    /// A whole number.
    Number(u64),
    /// A value that depends on others, in words.
    Words(&'static str),
}

/// A table of a scenario, with the keys that it takes.
#[derive(Clone, Debug)]
pub struct SectionDoc {
    /// The head of the table as it stands in the file; none for the top of the file.
    pub head: String,
    /// The purpose of the table, in a sentence or two.
    pub about: String,
    /// The keys, in the order in which people read them.
    pub keys: Vec<KeyDoc>,
}

/// The longest time that a scenario may name, in milliseconds: thirty days.
pub const MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;

impl KeyDoc {
    /// A key that must be given.
    pub const fn new(name: &'static str, value: ValueDoc, about: &'static str) -> Self {
        Self { name, value, default: DefaultDoc::Required, about }
    }

    /// A time in whole milliseconds that must be given.
    pub const fn ms(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueDoc::Whole(0, MS_MAX), about)
    }

    /// A time in milliseconds, with a decimal point where wanted, that must be given.
    pub const fn decimal_ms(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueDoc::Decimal(0.0, MS_MAX as f64), about)
    }

    /// A probability that must be given.
    pub const fn probability(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueDoc::Probability, about)
    }

    /// The same key with a default, as it would stand in the file.
    #[must_use]
    pub const fn or(self, value: &'static str) -> Self {
        Self { default: DefaultDoc::Value(value), ..self }
    }

    /// The same key with a default in words.
    #[must_use]
    pub const fn or_else(self, words: &'static str) -> Self {
        Self { default: DefaultDoc::Words(words), ..self }
    }

    /// The same key, which may be left out.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { default: DefaultDoc::Nothing, ..self }
    }

    /// The unit of the value, which the name of the key says; empty if it is a mere number.
    pub fn unit(&self) -> &'static str {
        const UNITS: &[(&str, &str)] = &[
            ("ms", "ms"),
            ("us", "µs"),
            ("bytes", "bytes"),
            ("ppm", "parts per million"),
            ("percent", "%"),
            ("second", "per second"),
        ];
        let is_number = matches!(
            self.value,
            ValueDoc::Whole(..)
                | ValueDoc::WholeOrRange(..)
                | ValueDoc::Range(..)
                | ValueDoc::Decimal(..)
        );
        let mut words = self.name.split('_');
        let unit = words.find_map(|word| UNITS.iter().find(|(part, _)| *part == word));
        unit.filter(|_| is_number).map_or("", |(_, unit)| unit)
    }
}
