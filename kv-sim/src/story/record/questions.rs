//! Questions between nodes, remembered so that an answer can be told with what it answers: most answers
//! bear only the number of their question.

use std::collections::{BTreeMap, VecDeque};

use kv_core::message::Kind;
use kv_core::types::{Key, OperationId, Step};
use kv_core::version::Dot;

use crate::scenario::NodeIndex;

/// The most questions that are remembered, the last ones.
const QUESTIONS_MAX: usize = 65_536;

/// The number of a question, which its answer bears too. The node that asks counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuestionNumber {
    /// A coordinator's request to a replica to store something.
    Store(OperationId),
    /// A coordinator's question to a replica what it holds. A write may begin with one, under its own
    /// number.
    Read(OperationId),
    /// A delivery of hints.
    Delivery(u64),
    /// A step of a comparison.
    Comparison(Step),
}

/// The part that a message has in questions and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageRole {
    /// The message asks this.
    Asks(QuestionNumber),
    /// The message answers this.
    Answers(QuestionNumber),
}

/// A question that a message answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedQuestion {
    /// The kind of the message that asked.
    pub kind: Kind,
    /// The key that it was about.
    pub key: Option<Key>,
    /// The siblings that it carried of that key; none, if it carried no container.
    pub siblings: Option<Vec<Dot>>,
    /// A bit per write that the violations are about: set if what it carried accounts for it.
    pub knows: u8,
}

/// A question by the node that asked, the node that was asked, and its number.
type QuestionPath = (NodeIndex, NodeIndex, QuestionNumber);

/// The last questions that were asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Questions {
    asked: BTreeMap<QuestionPath, AskedQuestion>,
    order: VecDeque<QuestionPath>,
}

impl Questions {
    /// Remembers a question of one node to another. One that is asked once more takes the place of
    /// the first.
    pub(super) fn ask(
        &mut self,
        (from, to): (NodeIndex, NodeIndex),
        number: QuestionNumber,
        question: AskedQuestion,
    ) {
        let place = (from, to, number);
        if self.asked.insert(place, question).is_some() {
            return;
        }
        self.order.push_back(place);
        if self.order.len() > QUESTIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.asked.remove(&oldest);
        }
    }

    /// The question that one node answers another; none, if it is not known any more. A refusal does not
    /// say whether it refuses to store or to read: where nothing was to be stored, it is the latter.
    pub(super) fn answered(
        &self,
        (from, to): (NodeIndex, NodeIndex),
        number: QuestionNumber,
    ) -> Option<&AskedQuestion> {
        let asked = |number| self.asked.get(&(to, from, number));
        asked(number).or_else(|| match number {
            QuestionNumber::Store(operation) => asked(QuestionNumber::Read(operation)),
            QuestionNumber::Read(_)
            | QuestionNumber::Delivery(_)
            | QuestionNumber::Comparison(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use kv_core::message::HandoffKind;

    use super::*;

    fn question(key: &str) -> AskedQuestion {
        let kind = Kind::Handoff(HandoffKind::Deliver);
        AskedQuestion { kind, key: Some(Key::from(key)), siblings: None, knows: 0 }
    }

    #[test]
    fn an_answer_goes_the_other_way_and_bears_the_number_of_its_question() {
        let mut questions = Questions::default();
        let (a, b) = (NodeIndex(0), NodeIndex(1));
        questions.ask((a, b), QuestionNumber::Delivery(7), question("k"));
        let answered = |ends, number| questions.answered(ends, number).is_some();
        assert!(answered((b, a), QuestionNumber::Delivery(7)));
        assert!(!answered((a, b), QuestionNumber::Delivery(7)), "that is the question's own way");
        assert!(!answered((b, a), QuestionNumber::Delivery(8)));
        assert!(!answered((b, a), QuestionNumber::Comparison(Step(7))));
    }

    #[test]
    fn a_read_under_the_number_of_a_write_does_not_hide_what_was_to_be_stored() {
        let mut questions = Questions::default();
        let (ends, back) = ((NodeIndex(0), NodeIndex(1)), (NodeIndex(1), NodeIndex(0)));
        let (store, read) =
            (QuestionNumber::Store(OperationId(7)), QuestionNumber::Read(OperationId(7)));
        questions.ask(ends, read, question("read"));
        assert_eq!(questions.answered(back, store), Some(&question("read")));
        questions.ask(ends, store, question("stored"));
        questions.ask(ends, read, question("read"));
        assert_eq!(questions.answered(back, store), Some(&question("stored")));
        assert_eq!(questions.answered(back, read), Some(&question("read")));
    }

    #[test]
    fn only_the_last_questions_are_remembered_each_once() {
        let mut questions = Questions::default();
        let ends = (NodeIndex(0), NodeIndex(1));
        for number in 0..=QUESTIONS_MAX as u64 {
            questions.ask(ends, QuestionNumber::Delivery(number), question("k"));
            questions.ask(ends, QuestionNumber::Delivery(number), question("l"));
        }
        assert_eq!(questions.asked.len(), QUESTIONS_MAX);
        let back = (NodeIndex(1), NodeIndex(0));
        assert!(questions.answered(back, QuestionNumber::Delivery(0)).is_none());
        let last = questions.answered(back, QuestionNumber::Delivery(1));
        assert_eq!(last, Some(&question("l")));
    }
}
