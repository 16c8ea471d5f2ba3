//! HyperLogLogs, beside the registers that Redis sets.

use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;

use super::dice::Dice;
use crate::codec::{Codec, Malformed, Reader};
use crate::value::*;

fn encoded(registers: &Registers) -> Vec<u8> {
    let mut bytes = Vec::new();
    registers.encode(&mut bytes);
    bytes
}

fn with(elements: impl IntoIterator<Item = u64>) -> Registers {
    let mut registers = Registers::default();
    for element in elements {
        registers.add(&element.to_string().into());
    }
    registers
}

/// What `PFDEBUG GETREG` of Redis 7.0 shows after `PFADD` of the same elements.
#[test]
fn elements_set_the_registers_that_they_set_in_redis() {
    let mut registers = with(1..=20);
    for text in ["a", "b", "c", "hello", "hello world", "", "0123456789abcdef"] {
        assert!(registers.add(&Bytes::from(text)), "{text}");
        assert!(!registers.add(&Bytes::from(text)), "{text}");
    }
    let listed = [
        (495, 2),
        (1_538, 1),
        (2_580, 1),
        (3_668, 1),
        (3_896, 1),
        (4_143, 3),
        (4_673, 1),
        (5_911, 1),
        (5_938, 2),
        (5_949, 1),
        (7_306, 5),
        (7_527, 1),
        (8_382, 1),
        (8_436, 1),
        (9_216, 1),
        (9_233, 4),
        (9_399, 4),
        (9_507, 1),
        (10_825, 1),
        (10_973, 1),
        (12_711, 2),
        (14_110, 1),
        (14_839, 1),
        (15_371, 4),
        (15_557, 1),
        (15_580, 2),
        (15_780, 1),
    ];
    let (mut bytes, mut next) = ([0, 27].to_vec(), 0_u16);
    for (register, run) in listed {
        (register - next).encode(&mut bytes);
        bytes.push(run);
        next = register + 1;
    }
    assert_eq!(encoded(&registers), bytes);
}

#[test]
fn registers_are_the_same_however_they_were_filled_and_come_back_from_their_bytes() {
    for count in [0, 1, 100, 4_000, 5_000, 20_000, 100_000] {
        let at_once = with(0..count);
        let mut merged = with((0..count).filter(|element| element % 2 == 0));
        merged.merge(&with((0..count).filter(|element| element % 3 != 1)));
        merged.merge(&with((0..count).rev()));
        assert_eq!(merged, at_once, "{count}");
        assert!(!merged.merge(&at_once));
        let bytes = encoded(&at_once);
        let mut input = Reader::new(&bytes);
        assert_eq!(Registers::decode(&mut input).as_ref(), Ok(&at_once));
        assert!(input.rest().is_empty() && bytes.len() <= 12_289);
        let histogram = at_once.histogram();
        assert_eq!(histogram.iter().sum::<u32>() as usize, REGISTERS);
        // The usual estimate, without corrections: 0.8 % of error.
        let harmonic: f64 =
            (0..).zip(histogram).map(|(run, held)| f64::from(held) / 2_f64.powi(run)).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / 16_384.0) * 16_384.0 * 16_384.0 / harmonic;
        assert!(count < 50_000 || (estimate / count as f64 - 1.0).abs() < 0.03, "{estimate}");
    }
}

#[test]
fn registers_that_are_not_in_their_one_form_are_refused() {
    let refused: [&[u8]; 8] = [
        &[0, 1, 0, 0],
        &[0, 1, 0, RUN_MAX + 1],
        &[0, 1, 0x80, 0x80, 1, 1],
        &[0, 2, 0, 1],
        &[1, 0, 0],
        &[2],
        &[],
        &[0, 0x81, 0x20],
    ];
    for bytes in refused {
        assert_eq!(Registers::decode(&mut Reader::new(bytes)), Err(Malformed), "{bytes:?}");
    }
    // A table for registers that are few.
    let mut table = [0; 12_289];
    table[..2].copy_from_slice(&[1, 1]);
    assert_eq!(Registers::decode(&mut Reader::new(&table)), Err(Malformed));
    let mut dice = Dice::new(1);
    for _ in 0..200 {
        let mut bytes = encoded(&with(0..dice.one_of(&[50, 20_000])));
        let at = dice.index(bytes.len());
        bytes[at] ^= 1 << dice.below(8);
        let mut input = Reader::new(&bytes);
        if let Ok(registers) = Registers::decode(&mut input) {
            assert_eq!(encoded(&registers), bytes[..bytes.len() - input.rest().len()]);
        }
    }
}
