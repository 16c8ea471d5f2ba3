//! Notes on hints: a keeper takes one, or deletes it.

use kv_core::store::{
    Answer, Command, DropReason, HandoffAnswer, HandoffCommand, Outcome, ReplicaAction,
    ReplicaAnswer, ReplicaCommand, Role, StoreCommand,
};
use kv_core::types::{Key, NodeId};

use crate::cluster::scene::Scene;
use crate::story::record::focus::Focus;

/// Describes for people what an executed storage command did to the hints of the keys that a report
/// follows: one line for each hint, with its key.
pub(super) fn of(
    command: &StoreCommand,
    outcome: &Outcome,
    focus: &Focus,
    scene: &Scene,
) -> Vec<(String, Key)> {
    let name = |id: &NodeId| scene.name(scene.index_of(*id));
    let is_followed = |key: &&Key| focus.position(key).is_some();
    match (&command.command, &outcome.answer) {
        (
            Command::Replica(ReplicaCommand { action, .. }),
            Answer::Replica(ReplicaAnswer { result: Ok(_), .. }),
        ) => {
            let kept = kept(action).filter(|(key, _)| is_followed(key));
            let text = |key, target| format!("keeps a hint of {key:?} for {}", name(target));
            kept.map(|(key, target)| (text(key, target), key.clone())).into_iter().collect()
        }
        (
            Command::Handoff(HandoffCommand::Drop { target, reason, items }),
            Answer::Handoff(HandoffAnswer::Dropped { result: Ok(dropped), .. }),
        ) => {
            let why = match reason {
                DropReason::Delivered => "as it was told that it is delivered",
                DropReason::Expired => "as its time is over",
            };
            // A hint that has grown since stays, and the answer does not say which.
            let is_certain = dropped.count == items.len() as u64;
            let unless = if is_certain { "" } else { ", unless it has grown since" };
            let keys = items.iter().map(|(key, _)| key).filter(is_followed);
            let target = name(target);
            let text = |key| format!("deletes its hint of {key:?} for {target}, {why}{unless}");
            keys.map(|key| (text(key), key.clone())).collect()
        }
        _ => Vec::new(),
    }
}

/// The key and the target of the hint that a replica keeps if it does this.
fn kept(action: &ReplicaAction) -> Option<(&Key, &NodeId)> {
    match action {
        ReplicaAction::Hint(hint) => Some((&hint.key, &hint.terms.target)),
        ReplicaAction::Mint(mint) => match &mint.role {
            Role::Fallback(terms) => Some((&mint.key, &terms.target)),
            Role::Owner => None,
        },
        ReplicaAction::Merge(_) | ReplicaAction::Read { .. } => None,
    }
}
