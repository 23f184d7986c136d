//! Paths of the pointer: where it is when. Pure and seeded.

use std::time::Duration;

use fastrand::Rng;

use super::request::Point;

/// How far apart two steps are. Chromium takes the pointer's place once per frame.
const TICK: Duration = Duration::from_millis(8);
/// How far a curve may swing out, as a part of the distance.
const SWING: f64 = 0.12;
/// How far a step may lie beside the curve, in pixels.
const JITTER: f64 = 0.8;
/// Moves shorter than this are too short to tremble, in pixels.
const STEADY: f64 = 12.0;

/// A place of the pointer, and when it is there, counted from the start of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Duration,
    pub(super) to: Point,
}

/// The size of the screen, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) width: u16,
    pub(super) height: u16,
}

impl Bounds {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to 16 bits")]
    fn nearest(self, x: f64, y: f64) -> Point {
        let clamp = |value: f64, size: u16| {
            let most = f64::from(size.saturating_sub(1));
            value.round().clamp(0.0, most) as i32
        };
        Point {
            x: clamp(x, self.width),
            y: clamp(y, self.height),
        }
    }
}

/// How long a hand takes for the way through these points.
pub(super) fn natural_duration(
    points: &[Point],
    shortest: Duration,
    longest: Duration,
) -> Duration {
    let length: f64 = segments(points).map(|(from, to)| distance(from, to)).sum();
    // Longer ways are taken at a higher speed (Fitts' law, in a rough form).
    let millis = 60.0 + 18.0 * length.sqrt();
    Duration::from_secs_f64(millis / 1_000.0).clamp(shortest, longest)
}

/// The way through the points along Bézier curves, with an eased speed and a slight jitter, in
/// exactly that time. Each point but the first is met exactly.
pub(super) fn smooth(
    points: &[Point],
    duration: Duration,
    bounds: Bounds,
    rng: &mut Rng,
) -> Vec<Step> {
    let lengths: Vec<f64> = segments(points)
        // A segment between equal points still takes a moment, so that none takes them all.
        .map(|(from, to)| distance(from, to).max(1.0))
        .collect();
    let total: f64 = lengths.iter().sum();
    let mut steps = Vec::new();
    let mut start = Duration::ZERO;
    let mut gone = 0.0;
    for ((from, to), length) in segments(points).zip(&lengths) {
        gone += length;
        let end = duration.mul_f64(gone / total).min(duration);
        curve(from, to, start, end, bounds, rng, &mut steps);
        start = end;
    }
    if let Some(last) = steps.last_mut() {
        last.at = duration;
    }
    steps
}

fn curve(
    from: Point,
    to: Point,
    start: Duration,
    end: Duration,
    bounds: Bounds,
    rng: &mut Rng,
    steps: &mut Vec<Step>,
) {
    let span = end.saturating_sub(start);
    let count = u32::try_from(span.as_millis() / TICK.as_millis())
        .unwrap_or(u32::MAX)
        .max(1);
    let (x0, y0) = (f64::from(from.x), f64::from(from.y));
    let (x3, y3) = (f64::from(to.x), f64::from(to.y));
    let (dx, dy) = (x3 - x0, y3 - y0);
    // Both control points lie on the same side, as the arc of a wrist does.
    let side = if rng.bool() { SWING } else { -SWING };
    let (near, far) = (side * rng.f64(), side * rng.f64());
    let (x1, y1) = (x0 + dx / 3.0 - dy * near, y0 + dy / 3.0 + dx * near);
    let (x2, y2) = (x0 + dx / 1.5 - dy * far, y0 + dy / 1.5 + dx * far);
    let tremble = if dx.hypot(dy) < STEADY { 0.0 } else { JITTER };
    for index in 1..=count {
        let at = start + span.mul_f64(f64::from(index) / f64::from(count)).min(span);
        let t = ease(f64::from(index) / f64::from(count));
        let u = 1.0 - t;
        let weigh = |p0: f64, p1: f64, p2: f64, p3: f64| {
            u * u * u * p0 + 3.0 * u * u * t * p1 + 3.0 * u * t * t * p2 + t * t * t * p3
        };
        let to = if index == count {
            to
        } else {
            bounds.nearest(
                weigh(x0, x1, x2, x3) + tremble * (2.0 * rng.f64() - 1.0),
                weigh(y0, y1, y2, y3) + tremble * (2.0 * rng.f64() - 1.0),
            )
        };
        steps.push(Step { at, to });
    }
}

/// The way through the points in straight lines, at a steady pace: each segment in so many
/// steps, with that pause after each.
pub(super) fn straight(points: &[Point], per_segment: u64, pause: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    let count = i64::try_from(per_segment).unwrap_or(i64::MAX).max(1);
    for (from, to) in segments(points) {
        for index in 1..=count {
            let part = |from: i32, to: i32| {
                let way = i64::from(to) - i64::from(from);
                let gone = i32::try_from(way * index / count).unwrap_or_default();
                from.saturating_add(gone)
            };
            let to = Point {
                x: part(from.x, to.x),
                y: part(from.y, to.y),
            };
            steps.push(Step { at, to });
            at += pause;
        }
    }
    steps
}

fn segments(points: &[Point]) -> impl Iterator<Item = (Point, Point)> + '_ {
    points.iter().copied().zip(points.iter().copied().skip(1))
}

fn distance(from: Point, to: Point) -> f64 {
    f64::from(to.x.saturating_sub(from.x)).hypot(f64::from(to.y.saturating_sub(from.y)))
}

/// From 0 to 1 with no speed and no acceleration at both ends (the minimum-jerk profile of
/// Flash and Hogan, which hands follow).
fn ease(t: f64) -> f64 {
    t * t * t * (10.0 + t * (6.0 * t - 15.0))
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const BOUNDS: Bounds = Bounds {
        width: 1920,
        height: 1080,
    };

    fn inside(point: Point) -> bool {
        (0..1920).contains(&point.x) && (0..1080).contains(&point.y)
    }

    fn points() -> impl Strategy<Value = Vec<Point>> {
        let point = (0..1920, 0..1080).prop_map(|(x, y)| Point { x, y });
        proptest::collection::vec(point, 2..12)
    }

    proptest! {
        #[test]
        fn smooth_paths_keep_their_promises(
            points in points(),
            millis in 50_u64..5_000,
            seed: u64,
        ) {
            let duration = Duration::from_millis(millis);
            let steps = smooth(&points, duration, BOUNDS, &mut Rng::with_seed(seed));
            let last = steps.last().unwrap();
            prop_assert_eq!(last.to, *points.last().unwrap(), "ends exactly");
            prop_assert_eq!(last.at, duration, "in exactly that time");
            prop_assert!(steps.iter().all(|step| inside(step.to)));
            prop_assert!(steps.is_sorted_by_key(|step| step.at));
            for point in &points[1..] {
                prop_assert!(steps.iter().any(|step| step.to == *point), "meets {:?}", point);
            }
            let longest = longest_gap(&steps);
            prop_assert!(longest <= TICK * 2, "a gap of {:?}", longest);
        }

        #[test]
        fn straight_paths_meet_every_point(points in points(), count in 1_u64..50) {
            let pause = Duration::from_millis(3);
            let steps = straight(&points, count, pause);
            let segments = points.len() as u64 - 1;
            prop_assert_eq!(steps.len() as u64, segments * count);
            for (index, point) in points[1..].iter().enumerate() {
                let step = steps[(index + 1) * usize::try_from(count).unwrap() - 1];
                prop_assert_eq!(step.to, *point);
            }
            prop_assert!(steps.iter().all(|step| inside(step.to)));
        }

        #[test]
        fn the_speed_is_eased(x in 400..1900, seed: u64) {
            let points = [Point { x: 0, y: 500 }, Point { x, y: 500 }];
            let duration = Duration::from_millis(800);
            let steps = smooth(&points, duration, BOUNDS, &mut Rng::with_seed(seed));
            let near = |time: u64| {
                let time = Duration::from_millis(time);
                steps.iter().find(|step| step.at >= time).unwrap().to.x
            };
            prop_assert!(near(80) < x / 20, "slow at first");
            prop_assert!(near(720) > x - x / 20, "and at last");
            prop_assert!((near(400) - x / 2).abs() < x / 5, "half way at half time");
        }
    }

    fn longest_gap(steps: &[Step]) -> Duration {
        let starts = std::iter::once(Duration::ZERO).chain(steps.iter().map(|step| step.at));
        let gaps = steps
            .iter()
            .zip(starts)
            .map(|(step, start)| step.at.saturating_sub(start));
        gaps.max().unwrap_or_default()
    }

    #[test]
    fn a_longer_way_takes_longer_within_its_limits() {
        let time = |x| {
            let way = [Point { x: 0, y: 0 }, Point { x, y: 0 }];
            natural_duration(&way, Duration::from_millis(50), Duration::from_secs(5))
        };
        assert!(time(0) >= Duration::from_millis(50));
        assert!(time(10) < time(100) && time(100) < time(1900));
        assert!(time(1900) < Duration::from_secs(1));
    }
}
