//! The common part of all families of messages: a family is an enum of messages, each with a stable
//! number and a name, and the enum of their kinds.

use alloc::vec::Vec;

use crate::types::Key;
use crate::version::Container;

/// The questions that carriers of messages ask of one, whichever family it belongs to.
pub trait Family {
    /// The keys that it names.
    fn keys(&self) -> Vec<&Key>;

    /// About how many bytes its keys and values take: all of it that may be large.
    fn weight(&self) -> usize;

    /// Tells whether it goes before others that wait for the same connection: it is small, and somebody
    /// counts on its being quick.
    fn is_urgent(&self) -> bool;
}

/// Declares a family: `Family, Kind { Variant(payload) = number "name", }`. Numbers and names are stable
/// and unique over all families.
macro_rules! family {
    (
        $(#[$family_doc:meta])* $family:ident,
        $(#[$kind_doc:meta])* $kind:ident {
            $($(#[$doc:meta])* $message:ident($payload:ty) = $number:literal $name:literal,)*
        }
    ) => {
        $(#[$family_doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $family {
            $($(#[$doc])* $message($payload),)*
        }

        $(#[$kind_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $kind {
            $($(#[$doc])* $message = $number,)*
        }

        impl $kind {
            /// Every kind of the family, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$message,)*];

            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$message => $name,)*
                }
            }

            pub(super) const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$message),)*
                    _ => None,
                }
            }
        }

        impl $family {
            /// The kind of the message.
            pub const fn kind(&self) -> $kind {
                match self {
                    $(Self::$message(_) => $kind::$message,)*
                }
            }

            /// Appends the payload. The kind is not among the bytes.
            pub(super) fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    $(Self::$message(payload) => $crate::codec::Codec::encode(payload, out),)*
                }
            }

            /// Reads a payload of this kind, and leaves what lies behind it.
            pub(super) fn decode(
                kind: $kind,
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                match kind {
                    $($kind::$message => $crate::codec::Codec::decode(input).map(Self::$message),)*
                }
            }
        }
    };
}

pub(super) use family;

/// The weight of keys and their containers.
pub(super) fn weight_of(items: &[(Key, Container)]) -> usize {
    items.iter().map(|(key, container)| key.bytes().len() + container.weight()).sum()
}
