//! `/metrics`: all counters and gauges, in the form that the scraper asks for.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::HttpView;
use super::health::facts;
use crate::health::Verdict;
use crate::metrics::Exposition;
use crate::tasks::aside;

/// Creates the route of `/metrics`.
pub(super) fn routes() -> Router<HttpView> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(view): State<HttpView>, headers: HeaderMap) -> Response {
    let exposition =
        negotiate(headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()));
    let facts = facts(&view).await;
    let metrics = Arc::clone(view.metrics());
    metrics.on_health(&facts, &Verdict::of(&facts));
    if let Some(counts) = view.storage_counts().await {
        metrics.on_storage(&counts);
    }
    let headers = [(header::CONTENT_TYPE, exposition.content_type()), (header::VARY, "accept")];
    // The system is asked about the process, which takes longer the more files are open.
    (headers, aside(move || metrics.encode(exposition)).await).into_response()
}

/// Chooses the form by the header `Accept` (RFC 9110 §12.5.1): OpenMetrics if it is named and
/// nothing else is preferred, else the text that everything reads.
fn negotiate<'a>(accepted: impl Iterator<Item = &'a str>) -> Exposition {
    let (mut open_metrics, mut text) = (0, 0);
    for range in accepted.flat_map(|accepted| accepted.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(quality_of).unwrap_or(1_000);
        match &*media_type {
            "application/openmetrics-text" => open_metrics = quality.max(open_metrics),
            "text/plain" | "text/*" | "*/*" => text = quality.max(text),
            _ => {}
        }
    }
    if open_metrics > 0 && open_metrics >= text {
        Exposition::OpenMetrics
    } else {
        Exposition::Text
    }
}

/// Reads the value of a parameter `q`, in thousandths. A malformed one counts as 0.
fn quality_of(parameter: &str) -> Option<u32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let quality = value.trim().parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality));
    Some(quality.map_or(0, |quality| (quality * 1_000.0) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapers_are_given_what_they_like_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accepted, expected) in [
            (&[][..], Exposition::Text),
            (&["*/*"], Exposition::Text),
            (&["text/plain"], Exposition::Text),
            (&["text/html, */*;q=0.8"], Exposition::Text),
            (&["application/json"], Exposition::Text),
            (&["application/openmetrics-text"], Exposition::OpenMetrics),
            (&["Application/OpenMetrics-Text; version=1.0.0"], Exposition::OpenMetrics),
            (&[prometheus], Exposition::OpenMetrics),
            (&["text/plain;q=0.9, application/openmetrics-text;q=0.2"], Exposition::Text),
            (&["application/openmetrics-text;q=0"], Exposition::Text),
            (&["application/openmetrics-text;q=much"], Exposition::Text),
            (&["text/plain;q=0.5", "application/openmetrics-text"], Exposition::OpenMetrics),
        ] {
            assert_eq!(negotiate(accepted.iter().copied()), expected, "{accepted:?}");
        }
    }
}
