//! Every kind of message, there and back; its bytes, frozen; and bytes that are no messages.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::message::Body;
use crate::time::Time;
use crate::types::{ClusterId, Generation, LayoutHash, NodeId, RequestId};

fn message(body: Body) -> Message {
    let header = Header {
        cluster: ClusterId(1),
        from: NodeId(2),
        generation: Generation(3),
        to: NodeId(4),
        request: RequestId(5),
        layout: (6, LayoutHash(7)),
        fence: 8,
        sent: Time(9),
    };
    Message { header, body }
}

#[test]
fn every_kind_of_message_comes_back_as_it_was_sent() {
    let kinds: Vec<Kind> = Body::samples().iter().map(Body::kind).collect();
    assert_eq!(kinds, Kind::ALL, "there is a sample of each kind");
    for body in Body::samples() {
        let sent = message(body);
        assert_eq!(decode(&encode(&sent)), Ok(sent));
    }
}

#[test]
fn the_bytes_of_a_format_never_change() {
    let mut frozen = String::new();
    for body in Body::samples() {
        let name = body.kind().name();
        write!(frozen, "{name:22} ").expect("a string takes all");
        for byte in encode(&message(body)) {
            write!(frozen, "{byte:02x}").expect("a string takes all");
        }
        frozen.push('\n');
    }
    insta::assert_snapshot!("format_3", frozen);
}

#[test]
fn what_is_no_message_is_told_apart() {
    let whole = encode(&message(Body::samples().swap_remove(0)));
    assert_eq!(decode(&Bytes::new()), Err(WireError::Short));
    assert_eq!(decode(&Bytes::from_static(&[9, 1, 0])), Err(WireError::Format(9)));
    assert_eq!(decode(&Bytes::from_static(&[FORMAT, 99, 0])), Err(WireError::Kind(99)));
    assert_eq!(decode(&whole.slice(..whole.len() - 1)), Err(WireError::Malformed));
    assert_eq!(decode(&Bytes::from([&whole[..], &[0, 0]].concat())), Err(WireError::Trailing(2)));
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_never_a_panic(
        kind in proptest::sample::select(Kind::ALL),
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = decode(&Bytes::from([&[FORMAT, kind.number()], &garbage[..]].concat()));
        let _ = decode(&Bytes::from(garbage));
    }

    #[test]
    fn a_corrupt_message_is_an_error_or_another_message_in_its_one_form(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
    ) {
        let mut samples = Body::samples();
        let sample = samples.swap_remove(which.index(samples.len()));
        let mut bytes = Vec::from(encode(&message(sample)));
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = decode(&Bytes::from(bytes)) {
            prop_assert_eq!(decode(&encode(&other)), Ok(other));
        }
    }
}
