//! What all families of commands and answers have in common: the questions that drivers ask of them.

use alloc::string::String;
use alloc::vec::Vec;

use super::refusal::Refusal;
use crate::fingerprint;
use crate::types::Key;

/// The questions that drivers ask of a command, whichever family it belongs to.
pub trait CommandFamily {
    /// Tells whether this writes nothing: if nobody waits for the answer, it need not be done.
    fn is_read(&self) -> bool;

    /// The keys that the command may write.
    fn written(&self) -> Written<'_>;

    /// The command, in words.
    fn describe(&self) -> String;
}

/// The keys that a command may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<'a> {
    /// No keys but these.
    Keys(Vec<&'a Key>),
    /// The command does not say.
    Unknown,
}

/// The questions that drivers ask of an answer, whichever family it belongs to.
pub trait AnswerFamily {
    /// The reason why the command was refused, if it was.
    fn refusal(&self) -> Option<Refusal>;

    /// Appends bytes that tell it from other answers, for the identity of a run: what is not in the
    /// Merkle root after it. They never depend on words.
    fn fingerprint(&self, out: &mut Vec<u8>);
}

/// Appends a refusal, behind the number that no other answer begins with.
pub(super) fn refused(out: &mut Vec<u8>, refusal: Refusal) {
    fingerprint::number(out, 12);
    refusal.fingerprint(out);
}
