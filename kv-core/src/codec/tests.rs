//! Every form of value beside postcard, which knows the layout; and bytes that are no values.

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::types::{ContentHash, NodeId};

fn encoded(value: &impl Codec) -> Vec<u8> {
    let mut out = vec![7];
    value.encode(&mut out);
    assert_eq!(out.remove(0), 7, "what was there stays");
    out
}

fn decoded<T: Codec>(bytes: &[u8]) -> Result<(T, usize), Malformed> {
    let mut input = Reader::new(bytes);
    T::decode(&mut input).map(|value| (value, input.rest().len()))
}

/// Numbers of any length, since most of the numbers of a type are long.
fn numbers() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(number, bits)| number >> bits)
}

/// Numbers as postcard writes them in a fixed number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Fixed(
    #[serde(with = "postcard::fixint::le")] u64,
    #[serde(with = "postcard::fixint::le")] u128,
);

proptest! {
    #[test]
    fn numbers_take_the_bytes_that_postcard_gives_them(number in numbers()) {
        let (half, short) = (number as u32, number as u16);
        prop_assert_eq!(encoded(&number), postcard::to_allocvec(&number).expect("fits"));
        prop_assert_eq!(encoded(&half), postcard::to_allocvec(&half).expect("fits"));
        prop_assert_eq!(encoded(&short), postcard::to_allocvec(&short).expect("fits"));
    }

    #[test]
    fn signed_numbers_take_the_bytes_that_postcard_gives_them(
        number in any::<i128>(),
        bits in 0..128_u32,
    ) {
        let (large, small) = (number >> bits, (number >> bits) as i64);
        prop_assert_eq!(encoded(&large), postcard::to_allocvec(&large).expect("fits"));
        prop_assert_eq!(encoded(&small), postcard::to_allocvec(&small).expect("fits"));
        prop_assert_eq!(decoded(&encoded(&large)), Ok((large, 0)));
        prop_assert_eq!(decoded(&encoded(&small)), Ok((small, 0)));
    }

    #[test]
    fn values_come_back_whatever_follows_them(
        number in numbers(),
        list in proptest::collection::vec((any::<u64>(), any::<Option<bool>>()), 0..20),
        behind in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let left = behind.len();
        let followed = |mut bytes: Vec<u8>| { bytes.extend_from_slice(&behind); bytes };
        prop_assert_eq!(decoded(&followed(encoded(&number))), Ok((number, left)));
        prop_assert_eq!(encoded(&list), postcard::to_allocvec(&list).expect("fits"));
        prop_assert_eq!(decoded(&followed(encoded(&list))), Ok((list, left)));
    }

    #[test]
    fn numbers_that_are_drawn_or_hashed_take_the_bytes_that_they_have(
        (id, hash) in (numbers(), any::<u128>()),
        cut in 1..24_usize,
    ) {
        let bytes = encoded(&(NodeId(id), ContentHash(hash)));
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&Fixed(id, hash)).expect("fits"));
        prop_assert_eq!(decoded(&bytes), Ok(((NodeId(id), ContentHash(hash)), 0)));
        prop_assert_eq!(decoded::<(NodeId, ContentHash)>(&bytes[cut..]), Err(Malformed));
    }

    #[test]
    fn what_is_read_from_any_bytes_is_what_postcard_reads_and_has_one_form(
        bytes in proptest::collection::vec(prop_oneof![Just(0x80), Just(0xff), any::<u8>()], 0..24),
    ) {
        fn same<T>(bytes: &[u8]) -> Result<(), TestCaseError>
        where
            T: Codec + for<'a> serde::Deserialize<'a> + PartialEq + core::fmt::Debug,
        {
            let theirs = postcard::take_from_bytes::<T>(bytes);
            match decoded::<T>(bytes) {
                Ok((value, left)) => {
                    prop_assert_eq!(&encoded(&value), &bytes[..bytes.len() - left]);
                    prop_assert_eq!(theirs, Ok((value, &bytes[bytes.len() - left..])));
                }
                // It takes numbers in more bytes than they need.
                Err(Malformed) => if let Ok((value, rest)) = theirs {
                    prop_assert_ne!(encoded(&value), &bytes[..bytes.len() - rest.len()]);
                }
            }
            Ok(())
        }
        same::<u16>(&bytes)?;
        same::<u32>(&bytes)?;
        same::<u64>(&bytes)?;
        same::<i64>(&bytes)?;
        same::<i128>(&bytes)?;
        same::<Vec<(u64, u8)>>(&bytes)?;
        same::<Option<Bytes>>(&bytes)?;
        same::<String>(&bytes)?;
    }
}

#[test]
fn a_number_in_more_bytes_than_it_needs_is_malformed() {
    assert_eq!(decoded::<u64>(&[0x81, 0x00]), Err(Malformed));
    assert_eq!(decoded::<u64>(&[0x81]), Err(Malformed));
    assert_eq!(decoded::<u64>(&[0xff; 10]), Err(Malformed));
    assert_eq!(decoded::<u16>(&[0x80, 0x80, 0x04]), Err(Malformed));
    assert_eq!(decoded::<u64>(&[0x81, 0x01]), Ok((129, 0)));
}

#[test]
fn a_piece_shares_the_bytes_that_it_is_read_from_unless_it_is_a_small_part_of_many() {
    let shares = |length: usize, padding: usize| {
        let mut bytes = encoded(&Bytes::from(vec![1; length]));
        bytes.extend(vec![0; padding]);
        let whole = Bytes::from(bytes);
        let piece = Bytes::decode(&mut Reader::sharing(&whole)).expect("it is one");
        let within = whole.as_ptr_range();
        assert_eq!(piece, vec![1; length]);
        within.contains(&piece.as_ptr())
    };
    assert!(shares(10, 200));
    assert!(shares(10_000, 10_000));
    assert!(!shares(10, 10_000));
}
