//! The daemon's Prometheus metrics.

use std::net::SocketAddr;

use anyhow::Context as _;

use crate::http::Call;

/// One reading of all samples.
#[derive(Debug, Clone)]
pub struct Metrics {
    samples: Vec<(String, f64)>,
}

impl Metrics {
    /// Reads them from `http://<address>/metrics`.
    pub async fn read(address: SocketAddr) -> anyhow::Result<Self> {
        let answer = Call::get("/metrics").send(address).await?.expect(200)?;
        let text = answer.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(Self {
            samples: samples.collect(),
        })
    }

    /// The sum of a metric over all of its labels.
    pub fn value(&self, name: &str) -> anyhow::Result<f64> {
        let own = |sample: &&(String, f64)| {
            sample
                .0
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        let values: Vec<f64> = self
            .samples
            .iter()
            .filter(own)
            .map(|sample| sample.1)
            .collect();
        let sum = values.iter().copied().reduce(|sum, value| sum + value);
        sum.with_context(|| format!("no metric {name}"))
    }

    /// The samples whose name starts with the text, with their labels.
    #[must_use]
    pub fn starting(&self, prefix: &str) -> Vec<(String, f64)> {
        self.samples
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .cloned()
            .collect()
    }
}
