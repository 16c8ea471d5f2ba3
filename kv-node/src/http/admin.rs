//! `/admin/…`: orders of an operator. The commands `kv-node init` and `kv-node accept-loss` send
//! them.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /admin/init` | `{"without": ["n3"]}`, or `{}` | 200 `{"founding": "…"}` |
//! | `GET /admin/losses` | | 200 `{"partitions": [1, 2]}`: those that this node can never copy |
//! | `POST /admin/accept-loss` | `{"partitions": [1, 2]}` | 200 `{"accepted": [1], "refused": {"2": "…"}}` |
//!
//! An order that is refused is answered 409 and `{"problem": "…"}`, and one that makes no sense
//! 400. Bodies are of the type `application/json`, which no page in a browser can send to another
//! local unasked.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kv_core::admin::{AdminCommand, AdminRefusal, AdminReply};
use kv_core::types::{NodeId, PartitionId};
use serde::Deserialize;
use serde_json::json;

use super::HttpView;

/// Creates the routes of `/admin/…`.
pub(super) fn routes() -> Router<HttpView> {
    Router::new()
        .route("/admin/init", post(init))
        .route("/admin/losses", get(losses))
        .route("/admin/accept-loss", post(accept_loss))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InitForm {
    /// The names of members that need not be there.
    #[serde(default)]
    without: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LossForm {
    partitions: Vec<u32>,
}

async fn init(
    State(view): State<HttpView>,
    body: Result<Json<InitForm>, JsonRejection>,
) -> Response {
    let Json(InitForm { without }) = match body {
        Ok(body) => body,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, rejection.body_text()),
    };
    let mut members = Vec::new();
    for name in without {
        match view.about().ring.members().iter().find(|member| member.name == name) {
            Some(member) => members.push(member.id),
            None => {
                let names: Vec<_> =
                    view.about().ring.members().iter().map(|it| &*it.name).collect();
                let names = names.join(", ");
                let message = format!("`{name}` is no member: the members are {names}");
                return problem(StatusCode::BAD_REQUEST, message);
            }
        }
    }
    match view.order(AdminCommand::Init { without: members }).await {
        Ok(AdminReply::Founded { founding }) => {
            answer(StatusCode::OK, &json!({ "founding": founding.to_string() }))
        }
        Ok(other) => refused(&view, &other),
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn losses(State(view): State<HttpView>) -> Response {
    match view.order(AdminCommand::Losses).await {
        Ok(AdminReply::Losses { partitions }) => {
            let numbers: Vec<_> = partitions.iter().map(|partition| partition.0).collect();
            answer(StatusCode::OK, &json!({ "partitions": numbers }))
        }
        Ok(other) => refused(&view, &other),
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn accept_loss(
    State(view): State<HttpView>,
    body: Result<Json<LossForm>, JsonRejection>,
) -> Response {
    let Json(LossForm { partitions }) = match body {
        Ok(body) => body,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, rejection.body_text()),
    };
    let (mut accepted, mut refused) = (Vec::new(), BTreeMap::new());
    for number in partitions {
        let partition = PartitionId(number);
        match view.order(AdminCommand::AcceptLoss { partition }).await {
            Ok(AdminReply::LossAccepted) => {
                tracing::warn!(partition = number, "an operator accepts what is lost");
                accepted.push(number);
            }
            Ok(other) => {
                refused.insert(number.to_string(), words(&view, &other));
            }
            Err(error) => {
                refused.insert(number.to_string(), error.to_string());
            }
        }
    }
    let status = if refused.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    answer(status, &json!({ "accepted": accepted, "refused": refused }))
}

fn refused(view: &HttpView, reply: &AdminReply) -> Response {
    problem(StatusCode::CONFLICT, words(view, reply))
}

/// The reason for a refusal in words, with the names of members.
fn words(view: &HttpView, reply: &AdminReply) -> String {
    let refusal = match reply {
        AdminReply::Refused(refusal) => refusal,
        AdminReply::Unknown => {
            return "the disk of this node failed while that was written down: nobody knows whether it \
                    stands. Repair the disk, start the node, and ask again: it says what it is"
                .to_owned();
        }
        AdminReply::Founded { .. } | AdminReply::Losses { .. } | AdminReply::LossAccepted => {
            return format!("an answer to another order: {reply:?}");
        }
    };
    let name = |id: NodeId| match view.about().ring.member(id) {
        Some(member) => format!("{} ({id})", member.name),
        None => id.to_string(),
    };
    match refusal {
        AdminRefusal::Unanswered { members } => {
            let names: Vec<_> = members.iter().copied().map(name).collect();
            format!(
                "not every member has answered: {}. Start them, and see to it that the members reach \
                 each other; or leave out with --without those that are to copy when they come. \
                 Nothing was founded",
                names.join(", ")
            )
        }
        AdminRefusal::AlsoFounding { by } => format!(
            "{} is being told to found the cluster at the same time: say it to one member, and wait \
             for its answer. Nothing was founded here",
            name(*by)
        ),
        AdminRefusal::AlreadyFounded
        | AdminRefusal::TooManyLeftOut { .. }
        | AdminRefusal::LeavesItselfOut
        | AdminRefusal::NotFounded
        | AdminRefusal::NotOwned { .. }
        | AdminRefusal::NothingLost { .. }
        | AdminRefusal::Store(_)
        | AdminRefusal::Ended => refusal.to_string(),
    }
}

fn problem(status: StatusCode, message: impl Into<String>) -> Response {
    answer(status, &json!({ "problem": message.into() }))
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
