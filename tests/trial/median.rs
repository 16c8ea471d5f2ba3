//! The median, by which a trial tells of several rounds.

/// The value in the middle, or half-way between the two in the middle. Of nothing it is 0.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values = Vec::from_iter(values);
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_in_the_middle_whatever_the_order() {
        let close = |one: f64, other: f64| (one - other).abs() < 1e-12;
        assert!(close(median([3.0, 1.0, 2.0]), 2.0));
        assert!(close(median([1e9, 1.0, 2.0]), 2.0));
        assert!(close(median([4.0, 1.0, 2.0, 3.0]), 2.5));
        assert!(close(median([7.0]), 7.0));
        assert!(close(median([]), 0.0));
    }
}
