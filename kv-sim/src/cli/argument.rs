//! Values of options that are more than a word or a number. Values that cannot mean anything, or
//! would let nothing run at all, are refused here, with the reason, before anything runs.

use std::num::NonZeroU64;
use std::ops::Range;
use std::time::Duration;

use kv_sim::checks::CheckName;
use kv_sim::runs::sweep::Shard;

/// Parses a range of seeds `A..B`: from A up to but not including B; never empty.
pub(crate) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (start, end) = text.split_once("..").ok_or("a range is written A..B, such as 0..1000")?;
    let number = |text: &str| {
        text.trim().parse::<u64>().map_err(|_| format!("`{text}` is no seed: 0 or a whole number"))
    };
    let (start, end) = (number(start)?, number(end)?);
    if start >= end {
        return Err(format!("the range is empty: it ends before {end}"));
    }
    Ok(start..end)
}

/// Parses a shard `I/N`: part I, counted from 0, of N.
pub(crate) fn shard(text: &str) -> Result<Shard, String> {
    let (index, count) = text.split_once('/').ok_or("a shard is written I/N, such as 0/4")?;
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| format!("`{text}` is no whole number of at least 0"))
    };
    let (index, count) = (number(index)?, number(count)?);
    match NonZeroU64::new(count) {
        None => Err("there must be at least one shard".to_owned()),
        Some(count) if index < count.get() => Ok(Shard { index, count }),
        Some(count) => Err(format!(
            "shards are counted from 0: the last of {count} is {}/{count}",
            count.get() - 1
        )),
    }
}

/// Parses a whole number of at least 1.
pub(crate) fn at_least_one(text: &str) -> Result<NonZeroU64, String> {
    let number: u64 = text.parse().map_err(|_| format!("`{text}` is no whole number"))?;
    NonZeroU64::new(number)
        .ok_or_else(|| "it must be at least 1: with 0, nothing is run".to_owned())
}

/// Parses a time such as `90s`, `10m` or `8h`; never no time at all.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a time is written 90s, 10m or 8h";
    let unit = text.chars().last().ok_or(FORM)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return Err(FORM.to_owned()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| FORM)?;
    if number == 0 {
        return Err("it must be longer: in no time, nothing is run".to_owned());
    }
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "too long".to_owned())
}

/// Parses the name of a check that no level promises, and that a scenario may therefore not demand.
pub(crate) fn unpromised(text: &str) -> Result<CheckName, String> {
    match CheckName::find(text) {
        Some(check) if check.is_promised() => {
            Err(format!("`{text}` is promised: a scenario that names no checks demands it"))
        }
        Some(check) => Ok(check),
        None => {
            let all = CheckName::ALL.iter().filter(|check| !check.is_promised());
            let names: Vec<_> = all.map(|check| check.name()).collect();
            Err(format!("there is no such check; this is one of: {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_is_half_open_and_never_empty() {
        assert_eq!(seeds("0..1000"), Ok(0..1_000));
        assert_eq!(seeds("7..8"), Ok(7..8));
        for empty in ["5..5", "6..5"] {
            assert!(seeds(empty).is_err_and(|reason| reason.contains("empty")), "{empty}");
        }
        for wrong in ["5", "a..b", "-1..5", "1..=5", ".."] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shards_are_counted_from_zero() {
        let count = NonZeroU64::new(4).expect("not zero");
        assert_eq!(shard("0/4"), Ok(Shard { index: 0, count }));
        assert_eq!(shard("3/4"), Ok(Shard { index: 3, count }));
        for wrong in ["4/4", "5/3", "0/0", "1", "a/b", "-1/3"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
        for wrong in ["90", "m", "", "1.5h", "10 m", "99999999999999999999h", "5µ"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_no_level_promises_is_demanded_beside_the_rest() {
        assert_eq!(unpromised("linearizability").map(CheckName::name), Ok("linearizability"));
        assert!(unpromised("durability").is_err_and(|why| why.contains("is promised")));
        assert!(unpromised("speed").is_err_and(|why| why.contains("linearizability")));
    }

    #[test]
    fn what_would_let_nothing_run_is_refused() {
        for never in ["0s", "0m", "00h"] {
            assert!(duration(never).is_err_and(|why| why.contains("nothing is run")), "{never}");
        }
        assert_eq!(at_least_one("3").map(NonZeroU64::get), Ok(3));
        assert!(at_least_one("0").is_err_and(|why| why.contains("nothing is run")));
        for wrong in ["", "-1", "many", "1.5"] {
            assert!(at_least_one(wrong).is_err(), "{wrong}");
        }
    }
}
