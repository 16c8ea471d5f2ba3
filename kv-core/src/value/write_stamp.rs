//! The identity and the time of a write, and values that carry the time of theirs.

use alloc::vec::Vec;

use super::dot_codec::{ActorTable, DotCodec};
use super::dot_store::{DotFun, Weighted};
use crate::codec::{Codec, Malformed, Reader, codec};
use crate::time::HybridTime;
use crate::version::Dot;

/// The dot that a change is executed under, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteStamp {
    /// The event: the next one of the minter.
    pub dot: Dot,
    /// The time at which the change was made; it decides between concurrent values.
    pub time: HybridTime,
}

codec!(struct WriteStamp { dot, time });

/// A value with the time at which it was written. Of those that stand together the one of the
/// greatest (time, dot) is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timed<T> {
    /// The time of the write.
    pub(crate) time: HybridTime,
    /// What was written.
    pub(crate) value: T,
}

impl<T> DotFun<Timed<T>> {
    /// The value of the greatest (time, dot), with its dot.
    pub(crate) fn latest(&self) -> Option<(Dot, &T)> {
        let latest = self.iter().max_by_key(|(dot, timed)| (timed.time, *dot));
        latest.map(|(dot, timed)| (*dot, &timed.value))
    }

    /// Puts a value in the place of all that stands.
    pub(crate) fn overwrite(&mut self, value: T, at: WriteStamp) {
        self.replace(at.dot, Timed { time: at.time, value });
    }
}

impl<T: Weighted> Weighted for Timed<T> {
    fn weight(&self) -> usize {
        size_of::<HybridTime>() + self.value.weight()
    }
}

impl<T: Codec> DotCodec for Timed<T> {
    fn encode_with(&self, _: &ActorTable, out: &mut Vec<u8>) {
        self.time.encode(out);
        self.value.encode(out);
    }

    fn decode_with(_: &ActorTable, input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { time: Codec::decode(input)?, value: Codec::decode(input)? })
    }
}
