//! Garbage to any decoder: an error value, no panic, and no more memory than a stated multiple of
//! what was sent.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use kv_core::codec::{Codec, Reader};
use kv_core::message::{Body, Kind};
use kv_core::time::HybridTime;
use kv_core::types::{ClusterId, Epoch, Key, NodeId};
use kv_core::value::{
    HashChange, HyperLogLogChange, ListChange, Score, SetChange, SortedSetChange, TypedState,
    ValueChange, WriteStamp,
};
use kv_core::version::{Actor, Context, Dot};
use kv_core::wire::{DECODE_BYTES_PER_BYTE, FORMAT, decode};

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator that counts can be written in no other way")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated_by(act: impl FnOnce()) -> usize {
    let before = ALLOCATED.get();
    act();
    ALLOCATED.get() - before
}

/// Bytes without rhyme or reason, the same in every run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let word = |at: u64| kv_core::sampling::mix(&[seed, at]).to_le_bytes();
    (0..length.div_ceil(8) as u64).flat_map(word).take(length).collect()
}

/// A header that decodes, so that what follows is read as a payload.
fn headed(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![FORMAT, kind.number()];
    bytes.extend_from_slice(&[0; 9]);
    bytes.extend_from_slice(payload);
    bytes
}

fn assert_bounded(bytes: &[u8]) {
    let shared = Bytes::copy_from_slice(bytes);
    let allocated = allocated_by(|| drop(decode(&shared)));
    let bound = DECODE_BYTES_PER_BYTE * bytes.len();
    assert!(allocated <= bound, "{allocated} bytes for a message of {}", bytes.len());
}

#[test]
fn a_message_that_promises_more_than_it_holds_is_not_believed() {
    // The greatest lengths that a variable-length integer can promise, in all places at once.
    for length in [0, 1, 2, 10, 100, 10_000] {
        for byte in [0xff, 0x7f, 0x01, 0x00] {
            for kind in Kind::ALL {
                assert_bounded(&headed(*kind, &vec![byte; length]));
                let mut promising = vec![0xff; 4];
                promising.extend_from_slice(&[0x0f]);
                promising.extend(std::iter::repeat_n(byte, length));
                assert_bounded(&headed(*kind, &promising));
            }
        }
    }
}

#[test]
fn noise_is_refused_within_bounds_by_every_decoder() {
    for seed in 0..2_000 {
        let garbage = noise(seed, usize::try_from(seed).expect("small") % 700);
        assert_bounded(&garbage);
        for kind in Kind::ALL {
            assert_bounded(&headed(*kind, &garbage));
        }
        let token = Context::from_token(&garbage, ClusterId(1), &Key::from("k"));
        assert!(token.is_err(), "noise is no context token");
        let _ = kv_core::storage::parse_record_key(&garbage);
        let garbage = Bytes::from(garbage);
        assert!(kv_core::storage::decode_owned(&garbage).is_err() || garbage.len() > 16);
    }
}

#[test]
fn the_empty_payload_of_each_kind_is_an_error_and_not_a_panic() {
    for kind in Kind::ALL {
        match decode(&Bytes::from(headed(*kind, &[]))) {
            Err(_) => {}
            Ok(message) => panic!("{:?} needs no payload", Body::kind(&message.body)),
        }
    }
}

/// Decodes a state of a value, as one that is in a message, within the bounds of that.
fn assert_state_is_bounded(bytes: &[u8]) {
    let shared = Bytes::copy_from_slice(bytes);
    let decode = || drop(TypedState::decode(&mut Reader::sharing(&shared)));
    let (allocated, bound) = (allocated_by(decode), DECODE_BYTES_PER_BYTE * bytes.len());
    assert!(allocated <= bound, "{allocated} bytes for a state of {}", bytes.len());
}

#[test]
fn states_of_many_small_parts_and_noise_are_decoded_within_bounds() {
    let names: Vec<Bytes> = (0..60_000_u16).map(|n| n.to_be_bytes().to_vec().into()).collect();
    let few = names[..300].to_vec();
    let fields = names.iter().map(|name| (name.clone(), Bytes::new())).collect();
    let scores = names.iter().map(|name| (name.clone(), Score::ZERO)).collect();
    let changes = [
        ValueChange::Hash(HashChange::Set(fields)),
        ValueChange::SortedSet(SortedSetChange::Replace(scores)),
        ValueChange::List(ListChange::Replace(vec![Bytes::new(); 60_000])),
        ValueChange::Set(SetChange::Add(names)),
        ValueChange::HyperLogLog(HyperLogLogChange::Add(few)),
    ];
    let actor = Actor { node: NodeId(1), epoch: Epoch(1) };
    let at = WriteStamp { dot: Dot { actor, n: 100 }, time: HybridTime(0) };
    for change in changes {
        let (mut state, mut bytes) = (TypedState::default(), Vec::new());
        state.apply(&change, at).expect("the key is new");
        state.encode(&mut bytes);
        assert_state_is_bounded(&bytes);
        let clock = &bytes[..18];
        for seed in 0..300 {
            // Behind the clock that it needs, with each number that a type may have.
            for type_number in 0..8 {
                assert_state_is_bounded(&[clock, &[type_number], &noise(seed, 40)].concat());
            }
            let mut altered = bytes[..bytes.len().min(2_000)].to_vec();
            let at = usize::try_from(seed).expect("small") % altered.len();
            altered[at] = altered[at].wrapping_add(0x7f);
            assert_state_is_bounded(&altered);
        }
    }
}
