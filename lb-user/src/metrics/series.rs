//! Series as plain data, and their text.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Every metric's name begins with this.
const PREFIX: &str = "siplb";

/// Labels of one series.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Labels by names and values.
pub(super) fn labels<const N: usize>(pairs: [(&'static str, &String); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name, value.clone())).collect()
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Whole(u64),
    Part(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Part(value)
    }
}

/// All series of one name.
#[derive(Debug)]
pub(super) struct Series {
    name: &'static str,
    help: &'static str,
    is_counter: bool,
    samples: Vec<(Labels, Value)>,
}

impl Series {
    /// What only grows; the text adds `_total` to its name.
    pub(super) fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, is_counter: true, samples: Vec::new() }
    }

    /// What goes up and down.
    pub(super) fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { is_counter: false, ..Self::counter(name, help) }
    }

    /// With one more sample.
    pub(super) fn with(mut self, labels: impl Into<Labels>, value: impl Into<Value>) -> Self {
        self.samples.push((labels.into(), value.into()));
        self
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, value) in &self.samples {
            if labels.is_empty() {
                return self.encode_value(*value, encoder);
            }
            self.encode_value(*value, encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn encode_value(&self, value: Value, encoder: MetricEncoder<'_>) -> fmt::Result {
        match (self.is_counter, value) {
            (true, Value::Whole(value)) => ConstCounter::new(value).encode(encoder),
            (true, Value::Part(value)) => ConstCounter::new(value).encode(encoder),
            (false, Value::Whole(value)) => ConstGauge::new(value).encode(encoder),
            (false, Value::Part(value)) => ConstGauge::new(value).encode(encoder),
        }
    }
}

#[derive(Debug)]
struct Snapshot(Vec<Series>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for series in self.0.iter().filter(|series| !series.samples.is_empty()) {
            let kind = if series.is_counter { MetricType::Counter } else { MetricType::Gauge };
            series.encode(encoder.encode_descriptor(series.name, series.help, None, kind)?)?;
        }
        Ok(())
    }
}

/// The text of all series.
pub(super) fn text(series: Vec<Series>) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Snapshot(series)));
    let mut text = String::new();
    // A `String` takes everything.
    encode(&mut text, &registry).unwrap_or_default();
    text
}
