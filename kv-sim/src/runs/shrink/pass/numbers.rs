//! The way from a number to a smaller one: nothing at all, one, an eighth as long as that does, and
//! then steps that are halved where they do not. So a large number costs few attempts, and no
//! smaller one by 1 does at the end.

/// An attempt at a smaller number, and the way on from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Descent {
    /// Zero is tried.
    #[default]
    Zero,
    /// One is tried, with the sign of the number.
    One,
    /// An eighth of it is tried.
    Eighth,
    /// So much less is tried, or as much as leaves half of it.
    Less(u64),
}

impl Descent {
    /// The number that is tried in place of this one; none, if there is no more to try.
    pub(super) fn next(&mut self, number: i64) -> Option<i64> {
        let size = number.unsigned_abs();
        loop {
            let smaller = match *self {
                Self::Zero => 0,
                Self::One => 1,
                Self::Eighth => size / 8,
                Self::Less(_) if size <= 2 => return None,
                Self::Less(step) => {
                    let step = step.clamp(1, size / 2);
                    *self = Self::Less(step);
                    size - step
                }
            };
            // Below 2, that was tried before.
            let is_tried = smaller < 2 && !matches!(self, Self::Zero | Self::One);
            if smaller < size && !is_tried {
                return i64::try_from(smaller).ok().map(|smaller| smaller * number.signum());
            }
            if !self.fails() {
                return None;
            }
        }
    }

    /// Goes on after an attempt that failed. Returns whether there is more to try.
    pub(super) const fn fails(&mut self) -> bool {
        *self = match *self {
            Self::Zero => Self::One,
            Self::One => Self::Eighth,
            Self::Eighth => Self::Less(u64::MAX),
            Self::Less(0 | 1) => return false,
            Self::Less(step) => Self::Less(step / 2),
        };
        true
    }

    /// Tells whether there is more to try after an attempt that succeeded.
    pub(super) const fn goes_on(self) -> bool {
        matches!(self, Self::Eighth | Self::Less(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number that is left of one, and the number of attempts, if nothing below `least` will do.
    fn left(mut number: i64, least: u64) -> (i64, usize) {
        let (mut descent, mut attempts) = (Descent::default(), 0);
        while let Some(smaller) = descent.next(number) {
            attempts += 1;
            let goes_on = if smaller.unsigned_abs() >= least {
                assert!(smaller.unsigned_abs() < number.unsigned_abs(), "{smaller} for {number}");
                number = smaller;
                descent.goes_on()
            } else {
                descent.fails()
            };
            if !goes_on {
                break;
            }
        }
        (number, attempts)
    }

    #[test]
    fn the_least_number_that_will_do_is_found() {
        for number in [0_i64, 1, 2, 3, 7, 100, 2_000, -5, -2_000] {
            for least in 0..=number.unsigned_abs() {
                let expected = i64::try_from(least).expect("it is small") * number.signum();
                assert_eq!(left(number, least).0, expected, "{number} down to {least}");
            }
        }
    }

    #[test]
    fn a_large_number_takes_few_attempts() {
        for least in [0, 1, 3, 700, 1_900_000, 2_000_000] {
            let (_, attempts) = left(2_000_000, least);
            assert!(attempts < 50, "{attempts} attempts down to {least}");
        }
    }
}
