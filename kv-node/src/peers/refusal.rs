//! The refusal, which a node sends before it closes a connection, so that the other side need not
//! guess. Pure.

use serde::{Deserialize, Serialize};

use super::frame::{self, FrameKind};

/// The largest payload of a refusal, in bytes.
pub const REFUSAL_BYTES_MAX: usize = 2_000;

/// The longest text of a refusal, in bytes.
const TEXT_BYTES_MAX: usize = 1_500;

/// The reasons that this version gives, as label values of metrics.
const REASONS: [&str; 11] = [
    "malformed",
    "cluster",
    "format",
    "addressee",
    "stranger",
    "same-node",
    "layout",
    "future",
    "replaced",
    "garbage",
    "too-many",
];

/// The reason why a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRefusal {
    /// The reason in one word, for metrics; "other" if this version does not know it.
    pub reason: &'static str,
    /// The reason in words, for people.
    pub text: String,
}

#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    reason: &'a str,
    text: &'a str,
}

impl PeerRefusal {
    /// Creates the refusal for a reason, with an error that says more.
    pub fn new(reason: &'static str, error: &dyn std::fmt::Display) -> Self {
        Self { reason, text: error.to_string() }
    }

    /// Encodes the frame of the refusal.
    pub fn frame(&self) -> bytes::BytesMut {
        let mut text = self.text.as_str();
        text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        let payload = postcard::to_allocvec(&Payload { reason: self.reason, text });
        let mut bytes = bytes::BytesMut::new();
        frame::encode(FrameKind::Refusal, &payload.expect("texts can be encoded"), &mut bytes);
        bytes
    }

    /// Decodes the payload of a refusal. Whatever it holds, the text can be logged.
    pub fn decode(payload: &[u8]) -> Self {
        let said = postcard::from_bytes::<Payload<'_>>(payload);
        let (reason, text) = said.map_or(("", "without a reason"), |said| (said.reason, said.text));
        let known = REASONS.into_iter().find(|known| *known == reason);
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Self { reason: known.unwrap_or("other"), text: text.chars().map(printable).collect() }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::peers::frame::Decoder;

    fn passed_on(refusal: &PeerRefusal) -> PeerRefusal {
        let mut bytes: BytesMut = refusal.frame();
        let frame = Decoder::new(REFUSAL_BYTES_MAX).next(&mut bytes).expect("it is well-formed");
        PeerRefusal::decode(&frame.expect("it is whole").payload)
    }

    #[test]
    fn a_refusal_arrives_as_it_was_said() {
        let refusal = PeerRefusal::new("layout", &"the layouts differ");
        assert_eq!(passed_on(&refusal), refusal);
    }

    #[test]
    fn a_long_text_is_cut_between_two_letters() {
        let long = PeerRefusal::new("layout", &"é".repeat(2_000));
        assert_eq!(passed_on(&long).text, "é".repeat(TEXT_BYTES_MAX / 2));
    }

    #[test]
    fn nothing_that_a_stranger_says_breaks_the_log_or_the_metrics() {
        let payload = postcard::to_allocvec(&("owned", "a\nb\u{1b}[31m")).expect("it is text");
        let refusal = PeerRefusal::decode(&payload);
        assert_eq!((refusal.reason, &*refusal.text), ("other", "a b [31m"));
        assert_eq!(PeerRefusal::decode(&[0xff; 40]).reason, "other");
    }
}
