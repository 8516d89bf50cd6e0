//! What many measurements come to.

/// Half of them are at most this; 0 for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => 0.0,
        (0, Some(upper)) => (sorted[middle - 1] + upper) / 2.0,
        (_, Some(middle)) => *middle,
    }
}

/// Of a hundred, so many are at most this, and this is one of them (the nearest rank); 0 for none.
#[must_use]
pub fn percentile(values: &[f64], of_a_hundred: u32) -> f64 {
    let sorted = sorted(values);
    let rank = (sorted.len() * of_a_hundred as usize).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The least and the most; 0 for none.
#[must_use]
pub fn extremes(values: &[f64]) -> (f64, f64) {
    let sorted = sorted(values);
    let of = |end: Option<&f64>| end.copied().unwrap_or_default();
    (of(sorted.first()), of(sorted.last()))
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::{extremes, median, percentile};

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    }

    #[test]
    fn two_of_forty_are_beyond_the_95th_percentile() {
        let values: Vec<_> = (1..=40).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 95), 38.0);
        assert_eq!(percentile(&values, 100), 40.0);
        assert_eq!(percentile(&[7.0], 95), 7.0);
        assert_eq!(percentile(&[], 95), 0.0);
    }

    #[test]
    fn the_least_and_the_most_are_found_anywhere() {
        assert_eq!(extremes(&[2.0, 9.0, 1.0, 3.0]), (1.0, 9.0));
        assert_eq!(extremes(&[]), (0.0, 0.0));
    }
}
