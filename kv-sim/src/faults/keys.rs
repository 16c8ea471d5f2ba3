//! The keys of a table `[[fault]]` that are particular to its kind, as they stand in the file.
//!
//! The keys that a kind takes are one struct per kind, so that a key of another kind is refused by
//! name.

use std::ops::Range;

use serde::de::{DeserializeOwned, IntoDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::scenario::Problem;

/// A list of names in the file.
pub(crate) type NameList = Spanned<Vec<Spanned<String>>>;

/// Keys of a fault.
pub(crate) struct FaultKeys<'i> {
    /// The place of the whole fault in the file.
    pub(crate) span: Range<usize>,
    keys: DeTable<'i>,
    also_known: &'static [&'static str],
}

impl<'i> FaultKeys<'i> {
    /// Creates the keys of a fault. `also_known` are keys that the fault may have beside these.
    pub(crate) const fn new(
        span: Range<usize>,
        keys: DeTable<'i>,
        also_known: &'static [&'static str],
    ) -> Self {
        Self { span, keys, also_known }
    }

    /// Parses the keys into the struct that names them.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let table = Spanned::new(self.span.clone(), DeValue::Table(self.keys.clone()));
        T::deserialize(table.into_deserializer())
            .map_err(|error| Problem::from_toml(&error, self.span.clone(), self.also_known))
    }
}
