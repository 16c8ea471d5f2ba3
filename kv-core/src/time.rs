//! Time, as the core sees it: three clocks that are never mixed up.
//!
//! - [`Time`] is monotonic, per process, and orders deadlines and nothing else.
//! - [`WallTime`] is what the machine believes the date to be. It may step, drift or freeze.
//! - [`HybridTime`] stamps versions: wall time that never goes backwards on one node
//!   (hybrid logical clocks, Kulkarni et al. 2014); [`crate::hybrid::HybridClock`] issues it.

use core::ops::{Add, Sub};

use crate::codec::codec;

/// A point on a node's monotonic clock, in microseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// A length of time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

/// A machine's opinion of the date: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

/// A hybrid logical time: 48 bits of milliseconds since 1970, then 16 bits of counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HybridTime(pub u64);

codec!(struct Time(_), WallTime(_));
codec!(fixed HybridTime(u64));

/// The two clocks of one node at one moment: an input like any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock: for deadlines.
    pub monotonic: Time,
    /// The wall clock: for versions, expiry and generations.
    pub wall: WallTime,
}

impl Span {
    /// The span of no time.
    pub const ZERO: Self = Self(0);

    /// A span of whole milliseconds. Saturates at the largest span.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// The span in whole milliseconds, rounded down.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000
    }

    /// The span `n` times over. Saturates at the largest span.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl Time {
    /// The time that never comes: later than all that is waited for.
    pub const NEVER: Self = Self(u64::MAX);

    /// The span from `earlier` to this point; zero if `earlier` is in fact later.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Time {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add<Span> for WallTime {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl WallTime {
    /// The whole milliseconds since 1970, rounded down.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000
    }

    /// The whole seconds since 1970, rounded down.
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Tells whether this can be the date. A machine that shows one from before this software was
    /// made has lost it (an empty battery, no network yet), and nothing is judged by its clock.
    pub const fn can_be_the_date(self) -> bool {
        /// The date 2025-01-01T00:00:00Z, in seconds since 1970.
        const SOFTWARE_SECONDS: u64 = 1_735_689_600;
        self.as_seconds() >= SOFTWARE_SECONDS
    }
}

impl HybridTime {
    const COUNTER_BITS: u32 = 16;

    /// The hybrid time at the start of the given millisecond.
    pub const fn from_wall(wall: WallTime) -> Self {
        Self(wall.as_ms() << Self::COUNTER_BITS)
    }

    /// The millisecond part: milliseconds since 1970.
    pub const fn ms(self) -> u64 {
        self.0 >> Self::COUNTER_BITS
    }

    /// The next hybrid time. Overflow of the counter carries into the milliseconds.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
