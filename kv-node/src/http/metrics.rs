//! `/metrics`: everything that is counted.

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::View;
use crate::metrics::CONTENT_TYPE;

/// The routes of this file.
pub(super) fn routes() -> Router<View> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(view): State<View>) -> Result<Response, Infallible> {
    if let Some(storage) = view.storage.upgrade() {
        view.metrics.on_storage(&storage.counts());
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], view.metrics.encode()).into_response())
}
