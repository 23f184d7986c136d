//! One line of the result.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// What a row must reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    /// Our figure itself, at most.
    AtMost(f64),
    /// Ours by the peer's, at most.
    RatioAtMost(f64),
    /// Ours by the peer's, at least.
    RatioAtLeast(f64),
}

/// One measured row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    ours: f64,
    peer: Option<f64>,
    bar: Bar,
    /// What else is worth printing.
    notes: Vec<String>,
}

impl Row {
    /// A row whose bar is absolute.
    pub(crate) const fn absolute(unit: &'static str, ours: f64, at_most: f64) -> Self {
        Self {
            name: String::new(),
            unit,
            ours,
            peer: None,
            bar: Bar::AtMost(at_most),
            notes: Vec::new(),
        }
    }

    /// A row against a peer.
    pub(crate) const fn against(unit: &'static str, ours: f64, peer: f64, bar: Bar) -> Self {
        Self {
            name: String::new(),
            unit,
            ours,
            peer: Some(peer),
            bar,
            notes: Vec::new(),
        }
    }

    /// Prints something beside it.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Gives it the name of the table.
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn ratio(&self) -> Option<f64> {
        self.peer.map(|peer| self.ours / peer)
    }

    /// Whether it reaches its bar.
    pub(crate) fn is_met(&self) -> bool {
        match (self.bar, self.ratio()) {
            (Bar::AtMost(bar), _) => self.ours <= bar,
            (Bar::RatioAtMost(bar), Some(ratio)) => ratio <= bar,
            (Bar::RatioAtLeast(bar), Some(ratio)) => ratio >= bar,
            (_, None) => false,
        }
    }

    /// Whether it reaches less than half of its bar, which no noise explains.
    pub(crate) fn is_far(&self) -> bool {
        match (self.bar, self.ratio()) {
            (Bar::AtMost(bar), _) => self.ours > bar * 2.0,
            (Bar::RatioAtMost(bar), Some(ratio)) => ratio > bar * 2.0,
            (Bar::RatioAtLeast(bar), Some(ratio)) => ratio < bar / 2.0,
            (_, None) => true,
        }
    }
}

impl Bar {
    const fn value(self) -> f64 {
        match self {
            Self::AtMost(bar) | Self::RatioAtMost(bar) | Self::RatioAtLeast(bar) => bar,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, unit, ours, ..
        } = self;
        write!(f, "{name:<22} {ours:>10.2} {unit:<5}")?;
        match (self.peer, self.ratio()) {
            (Some(peer), Some(ratio)) => write!(f, " peer {peer:>10.2}  ratio {ratio:>6.3}")?,
            _ => write!(f, " {:>29}", "")?,
        }
        let sign = if matches!(self.bar, Bar::RatioAtLeast(_)) {
            '≥'
        } else {
            '≤'
        };
        let met = if self.is_met() { "met" } else { "MISSED" };
        write!(f, "  bar {sign} {:<6} {met}", self.bar.value())?;
        if !self.notes.is_empty() {
            write!(f, "  ({})", self.notes.join(", "))?;
        }
        Ok(())
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Row", 7)?;
        row.serialize_field("name", &self.name)?;
        row.serialize_field("unit", self.unit)?;
        row.serialize_field("ours", &self.ours)?;
        row.serialize_field("peer", &self.peer)?;
        row.serialize_field("ratio", &self.ratio())?;
        row.serialize_field("bar", &self.bar.value())?;
        row.serialize_field("met", &self.is_met())?;
        row.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bar_looks_at_its_own_figure() {
        assert!(Row::absolute("ms", 20.0, 20.0).is_met());
        assert!(!Row::absolute("ms", 20.1, 20.0).is_met());
        assert!(Row::against("µs", 10.0, 10.0, Bar::RatioAtMost(1.05)).is_met());
        assert!(!Row::against("µs", 11.0, 10.0, Bar::RatioAtMost(1.05)).is_met());
        assert!(Row::against("MB/s", 19.0, 20.0, Bar::RatioAtLeast(0.95)).is_met());
        assert!(!Row::against("MB/s", 18.0, 20.0, Bar::RatioAtLeast(0.95)).is_met());
    }

    #[test]
    fn a_row_is_far_below_half_of_its_bar() {
        assert!(!Row::absolute("ms", 40.0, 20.0).is_far());
        assert!(Row::absolute("ms", 40.1, 20.0).is_far());
        assert!(!Row::against("µs", 21.0, 10.0, Bar::RatioAtMost(1.05)).is_far());
        assert!(Row::against("µs", 21.1, 10.0, Bar::RatioAtMost(1.05)).is_far());
        assert!(!Row::against("MB/s", 10.0, 20.0, Bar::RatioAtLeast(0.95)).is_far());
        assert!(Row::against("MB/s", 9.0, 20.0, Bar::RatioAtLeast(0.95)).is_far());
    }

    #[test]
    fn the_file_has_the_fields_that_readers_know() {
        let absolute = Row::absolute("ms", 2.0, 4.0).named("start");
        let json = serde_json::to_value(absolute).unwrap();
        let wanted = serde_json::json!({
            "name": "start", "unit": "ms", "ours": 2.0, "peer": null, "ratio": null,
            "bar": 4.0, "met": true
        });
        assert_eq!(json, wanted);
        let row = Row::against("µs", 3.0, 2.0, Bar::RatioAtMost(1.05)).named("cdp_rtt_1k");
        assert_eq!(serde_json::to_value(row).unwrap()["ratio"], 1.5);
    }
}
