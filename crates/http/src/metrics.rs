//! Counts and times of requests. Labels are a method, a route's template and a status: never a
//! path as it came, so that no key or number gets in and the series stay few.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS_S: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 30.0];

/// The label of requests that matched no route.
pub const NO_ROUTE: &str = "(none)";

/// The counter of errors.
pub const ERRORS_TOTAL: &str = "gerbang_http_errors_total";

/// The request metrics.
pub struct HttpMetrics {
    requests: IntCounterVec,
    errors: IntCounterVec,
    seconds: HistogramVec,
}

impl HttpMetrics {
    /// Makes them known to `registry`.
    ///
    /// # Errors
    /// When it has metrics of these names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("gerbang_http_requests_total", "Requests answered, by route and status"),
            &["method", "route", "status"],
        )?;
        let errors = IntCounterVec::new(
            Opts::new(ERRORS_TOTAL, "Requests answered with an error, by route and kind"),
            &["method", "route", "kind"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("gerbang_http_request_seconds", "Time to answer, by route")
                .buckets(BUCKETS_S.to_vec()),
            &["method", "route"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { requests, errors, seconds })
    }

    /// Counts an error; the arguments must be from fixed sets.
    pub fn count_error(&self, method: &str, route: &str, kind: &str) {
        self.errors.with_label_values(&[method, route, kind]).inc();
    }

    /// Counts one answer. `method` and `route` must be from fixed sets.
    pub fn observe(&self, method: &str, route: &str, status: &str, took: Duration) {
        self.requests.with_label_values(&[method, route, status]).inc();
        self.seconds.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }
}
