//! The registers of a HyperLogLog (Flajolet et al. 2007), as Redis sets them.
//!
//! Each element has a register and a run: 14 bits of its hash say which register it is, and the
//! zeros behind them how long the run is. A register keeps the longest run. How many elements there
//! were is estimated from how many registers have which run; that takes fractions, and is done
//! outside the core.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::dot_codec::{ActorTable, DotCodec};
use super::dot_store::Weighted;
use super::murmur::murmur_hash_64a;
use crate::codec::{Codec, Malformed, Reader};

/// The registers of a HyperLogLog.
///
/// Invariants: few registers that are not 0 are listed, and lie in order; many lie in a table. So
/// equal registers have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// The registers that are not 0.
    Sparse(Vec<(u16, u8)>),
    /// All registers, and the number of those that are not 0.
    Dense(Box<[u8; REGISTERS]>, usize),
}

/// The number of registers of a HyperLogLog.
pub const REGISTERS: usize = 1 << REGISTER_BITS;

/// The longest run that a register can hold.
pub const RUN_MAX: u8 = (u64::BITS - REGISTER_BITS + 1) as u8;

const REGISTER_BITS: u32 = 14;

/// The most registers that are listed. A listed one takes two or three bytes, the table 12,288.
const LISTED_MAX: usize = 4_096;

/// The bits of a register in the table as it is written, four of which take three bytes.
const RUN_BITS: u32 = 6;
const PACKED_BYTES: usize = REGISTERS / 4 * 3;

impl Default for Registers {
    fn default() -> Self {
        Self(Form::Sparse(Vec::new()))
    }
}

impl Registers {
    /// The number of registers that hold each run, from 0 (no element) to [`RUN_MAX`].
    pub fn histogram(&self) -> [u32; RUN_MAX as usize + 1] {
        let mut histogram = [0; RUN_MAX as usize + 1];
        histogram[0] = (REGISTERS - self.count()) as u32;
        for (_, run) in self.iter() {
            histogram[usize::from(run)] += 1;
        }
        histogram
    }

    /// Adds an element. Returns whether a register rose.
    pub fn add(&mut self, element: &Bytes) -> bool {
        let hash = murmur_hash_64a(element);
        let register = (hash % REGISTERS as u64) as u16;
        // The bit that ends the longest run.
        let rest = hash >> REGISTER_BITS | 1 << (u64::BITS - REGISTER_BITS);
        self.raise(register, rest.trailing_zeros() as u8 + 1)
    }

    /// Takes the greater run of each register. Returns whether a register rose.
    pub fn merge(&mut self, other: &Self) -> bool {
        let raise = |rose: bool, (register, run)| self.raise(register, run) | rose;
        other.iter().fold(false, raise)
    }

    /// The number of registers that are not 0.
    fn count(&self) -> usize {
        match &self.0 {
            Form::Sparse(listed) => listed.len(),
            Form::Dense(_, count) => *count,
        }
    }

    /// The registers that are not 0, in order, with their runs.
    fn iter(&self) -> impl Iterator<Item = (u16, u8)> {
        let (listed, table): (&[_], &[_]) = match &self.0 {
            Form::Sparse(listed) => (listed, &[]),
            Form::Dense(table, _) => (&[], &table[..]),
        };
        let in_table = (0_u16..).zip(table.iter().copied()).filter(|&(_, run)| run > 0);
        listed.iter().copied().chain(in_table)
    }

    fn raise(&mut self, register: u16, run: u8) -> bool {
        match &mut self.0 {
            Form::Sparse(listed) => match listed.binary_search_by_key(&register, |&(at, _)| at) {
                Ok(at) if listed[at].1 >= run => return false,
                Ok(at) => listed[at].1 = run,
                Err(at) => {
                    listed.insert(at, (register, run));
                    if listed.len() > LISTED_MAX {
                        self.0 = tabled(listed);
                    }
                }
            },
            Form::Dense(table, count) => {
                let held = &mut table[usize::from(register)];
                if *held >= run {
                    return false;
                }
                *count += usize::from(*held == 0);
                *held = run;
            }
        }
        true
    }
}

fn tabled(listed: &[(u16, u8)]) -> Form {
    let mut table = Box::new([0; REGISTERS]);
    for &(register, run) in listed {
        table[usize::from(register)] = run;
    }
    Form::Dense(table, listed.len())
}

impl Weighted for Registers {
    fn weight(&self) -> usize {
        match &self.0 {
            Form::Sparse(listed) => 3 + 3 * listed.len(),
            Form::Dense(..) => 1 + PACKED_BYTES,
        }
    }
}

impl Codec for Registers {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Sparse(listed) => {
                out.push(0);
                (listed.len() as u64).encode(out);
                let mut next = 0;
                for &(register, run) in listed {
                    (register - next).encode(out);
                    run.encode(out);
                    next = register + 1;
                }
            }
            Form::Dense(table, _) => {
                out.push(1);
                for four in table.as_chunks::<4>().0 {
                    let runs = four.iter().rev().map(|&run| u32::from(run));
                    let packed = runs.fold(0, |packed, run| packed << RUN_BITS | run);
                    out.extend_from_slice(&packed.to_le_bytes()[..3]);
                }
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::decode(input)? {
            0 => decode_listed(input),
            1 => decode_table(input),
            _ => Err(Malformed),
        }
    }
}

fn decode_listed(input: &mut Reader<'_>) -> Result<Registers, Malformed> {
    let count = input.count()?;
    if count > LISTED_MAX {
        return Err(Malformed);
    }
    let mut listed = Vec::new();
    let mut next = 0_u16;
    for _ in 0..count {
        let register = next.checked_add(u16::decode(input)?).ok_or(Malformed)?;
        let run = u8::decode(input)?;
        if usize::from(register) >= REGISTERS || !(1..=RUN_MAX).contains(&run) {
            return Err(Malformed);
        }
        listed.push((register, run));
        next = register + 1;
    }
    Ok(Registers(Form::Sparse(listed)))
}

fn decode_table(input: &mut Reader<'_>) -> Result<Registers, Malformed> {
    const RUN_MASK: u32 = (1 << RUN_BITS) - 1;
    let packed = input.take(PACKED_BYTES)?;
    let mut runs = vec![0; REGISTERS];
    for (four, bytes) in runs.as_chunks_mut::<4>().0.iter_mut().zip(packed.as_chunks::<3>().0) {
        let mut packed = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        for run in four {
            *run = (packed & RUN_MASK) as u8;
            packed >>= RUN_BITS;
        }
    }
    let count = runs.iter().filter(|&&run| run > 0).count();
    let table = Box::<[u8; REGISTERS]>::try_from(runs).map_err(|_| Malformed)?;
    if count <= LISTED_MAX || table.iter().any(|&run| run > RUN_MAX) {
        return Err(Malformed);
    }
    Ok(Registers(Form::Dense(table, count)))
}

impl DotCodec for Registers {
    fn encode_with(&self, _: &ActorTable, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn decode_with(_: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::decode(input)
    }
}
