//! Medians, and sides that take turns.

/// The middle of the samples, or of the two in the middle.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Lets the sides take turns for a number of rounds, each round begun by another side, and
/// gives each side's figures back.
pub(crate) fn take_turns<S>(
    sides: &mut [S],
    rounds: usize,
    mut measure: impl FnMut(&mut S) -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut figures = vec![Vec::with_capacity(rounds); sides.len()];
    for round in 0..rounds {
        for turn in 0..sides.len() {
            let side = (round + turn) % sides.len();
            figures[side].push(measure(&mut sides[side])?);
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn every_side_has_every_turn() {
        let mut order = Vec::new();
        let figures = take_turns(&mut ['a', 'b', 'c'], 3, |side| {
            order.push(*side);
            Ok(f64::from(u32::from(*side)))
        });
        assert_eq!(order.iter().collect::<String>(), "abcbcacab");
        assert!(figures.unwrap().iter().all(|side| side.len() == 3));
    }
}
