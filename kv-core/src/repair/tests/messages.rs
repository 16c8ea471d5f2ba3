//! Messages that fit nothing: answers that nobody asked for or that make no sense, questions about
//! what is none of a peer's business, and garbage.

use super::*;
use crate::merkle::{FAN_OUT, LeafId, leaf_of};
use crate::message::RepairMessage;
use crate::message::repair::{Branches, Leaves, SummariesRequest};
use crate::store::Summary;

/// Makes the answer to a step.
type MakeAnswer = Box<dyn Fn(Step) -> Body>;

/// A question that one node has asked another and that is not answered.
struct Question {
    world: World<Repair>,
    requester: NodeId,
    asked: NodeId,
    request: RequestId,
    step: Step,
}

impl Question {
    /// The first of this kind that is asked in a world in which there is something to repair.
    fn first(kind: Kind) -> Self {
        let mut world = world(3, config());
        for node in [1, 2, 3] {
            world.puts(node, &key(1), written(node, 1));
        }
        let is_question = move |message: &Message| message.body.kind() == kind;
        world.is_lost = Box::new(is_question);
        let asked = |world: &World<Repair>| {
            messages(world.done()).into_iter().find(|message| is_question(message)).cloned()
        };
        let Message { header, body } = loop {
            match asked(&world) {
                Some(message) => break message,
                None => world.wait(),
            }
        };
        let step = match body {
            Body::Repair(RepairMessage::Roots(Roots { step, .. }))
            | Body::Repair(RepairMessage::Leaves(Leaves { step, .. }))
            | Body::Repair(RepairMessage::Summaries(SummariesRequest { step, .. }))
            | Body::Repair(RepairMessage::Exchange(Exchange { step, .. })) => step,
            other => panic!("{other:?} is not asked for here"),
        };
        Self { world, requester: header.from, asked: header.to, request: header.request, step }
    }

    fn answer(&mut self, from: NodeId, request: RequestId, body: Body) {
        let message = self.world.nodes[&from].local.message(self.requester, request, body);
        self.world.deliver(message);
    }

    /// Tells whether the session goes on waiting for this answer.
    fn waits(&self) -> bool {
        let session = self.world.nodes[&self.requester].machine.session.as_ref();
        session.is_some_and(|session| session.is_at(self.request, self.step))
    }
}

#[test]
fn only_the_one_that_was_asked_can_answer_and_only_what_was_asked() {
    let mut question = Question::first(Kind::Repair(RepairKind::Roots));
    let (asked, request, step) = (question.asked, question.request, question.step);
    let answer = |step| {
        Body::Repair(RepairMessage::RootsDiffer(RootsDiffer {
            step,
            partitions: vec![],
            incomplete: vec![],
        }))
    };
    let bystander = (1..=3).map(NodeId).find(|&node| node != asked && node != question.requester);
    question.world.take();
    question.answer(bystander.expect("there are three"), request, answer(step));
    assert!(question.waits());
    question.answer(asked, RequestId(7), answer(step));
    assert!(question.waits());
    question.answer(asked, request, answer(Step(step.0 + 1)));
    assert!(question.waits());
    question.answer(asked, request, answer(step));
    assert!(!question.waits());
    assert_eq!(question.world.take(), []);
}

#[test]
fn a_session_ends_at_the_first_answer_that_makes_no_sense() {
    let ring = world(3, config()).ring();
    let home = ring.partition_of(key(1).token());
    let stranger = (2..99).map(key).find(|key| ring.partition_of(key.token()) != home);
    let stranger = stranger.expect("not all keys lie in one partition");
    let summary =
        |key: Key| Summary { hash: ContentHash(7), seen: written(2, 3).seen().clone(), key };
    let summarized = |step, entries, more| {
        Body::Repair(RepairMessage::Summarized(Summarized { step, entries, more }))
    };
    let cases: [(Kind, MakeAnswer); 6] = [
        (
            Kind::Repair(RepairKind::Roots),
            Box::new(|step| {
                Body::Repair(RepairMessage::Exchanged(Exchanged { step, items: vec![] }))
            }),
        ),
        (
            Kind::Repair(RepairKind::Roots),
            Box::new(|step| {
                let partitions = vec![PartitionId(3), PartitionId(1)];
                Body::Repair(RepairMessage::RootsDiffer(RootsDiffer {
                    step,
                    partitions,
                    incomplete: vec![],
                }))
            }),
        ),
        (
            Kind::Repair(RepairKind::Leaves),
            Box::new(|step| {
                let leaves = vec![LeafId(9), LeafId(9)];
                Body::Repair(RepairMessage::LeavesDiffer(LeavesDiffer { step, leaves }))
            }),
        ),
        (Kind::Repair(RepairKind::Summaries), Box::new(move |step| summarized(step, vec![], true))),
        (
            Kind::Repair(RepairKind::Summaries),
            Box::new(move |step| summarized(step, vec![summary(stranger.clone())], false)),
        ),
        (
            Kind::Repair(RepairKind::Exchange),
            Box::new(|step| {
                let items = vec![(key(2), written(1, 1))];
                Body::Repair(RepairMessage::Exchanged(Exchanged { step, items }))
            }),
        ),
    ];
    for (kind, answer) in cases {
        let mut question = Question::first(kind);
        let body = answer(question.step);
        question.world.take();
        let before = roots(&question.world);
        question.answer(question.asked, question.request, body);
        assert_eq!(roots(&question.world), before, "{kind:?}");
        assert_eq!(question.world.take(), [], "{kind:?}");
        let machine = &question.world.nodes[&question.requester].machine;
        assert!(machine.session.is_none(), "{kind:?}");
    }
}

#[test]
fn what_the_other_does_not_own_is_none_of_its_business() {
    let mut world = World::<Repair>::new(4, 3, 4, config());
    let (ring, partition) = (world.ring(), PartitionId(0));
    let owner = ring.owners(partition)[0];
    let stranger = ring.fallbacks(partition).next().expect("one of four is no owner");
    let (step, leaf) = (Step(1), LeafId(0));
    for body in [
        Body::Repair(RepairMessage::Roots(Roots {
            step,
            roots: vec![(partition, ContentHash(1))],
        })),
        Body::Repair(RepairMessage::Branches(Branches {
            step,
            partition,
            branches: [ContentHash(1); FAN_OUT].into(),
        })),
        Body::Repair(RepairMessage::Leaves(Leaves {
            step,
            partition,
            leaves: vec![(leaf, ContentHash(1))],
        })),
        Body::Repair(RepairMessage::Summaries(SummariesRequest {
            step,
            partition,
            leaf,
            after: None,
        })),
        Body::Repair(RepairMessage::Exchange(Exchange {
            step,
            partition,
            pushed: vec![],
            wanted: vec![],
        })),
    ] {
        let message = world.nodes[&stranger].local.message(owner, RequestId(1), body);
        world.deliver(message);
    }
    assert_eq!(world.take(), []);
}

#[test]
fn a_key_is_never_written_where_it_does_not_belong() {
    let mut world = world(2, config());
    let home = world.ring().partition_of(key(1).token());
    let partition = PartitionId((home.0 + 1) % 4);
    let pushed = vec![(key(1), written(1, 1))];
    let body = Body::Repair(RepairMessage::Exchange(Exchange {
        step: Step(1),
        partition,
        pushed,
        wanted: vec![],
    }));
    let message = world.member(2).local.message(NodeId(1), RequestId(1), body);
    world.deliver(message);
    assert_eq!(world.take(), []);
    assert_eq!(world.member(1).local.roots, BTreeMap::new());
}

/// Questions and answers that no honest peer would send, and some that it would.
fn garbage() -> impl Strategy<Value = Body> {
    let step = (0_u64..12).prop_map(Step);
    let partition = prop_oneof![3 => 0_u32..4, 1 => any::<u32>()].prop_map(PartitionId);
    let partitions = || {
        proptest::collection::vec(prop_oneof![0_u32..4, any::<u32>()].prop_map(PartitionId), 0..4)
    };
    let hash = any::<u128>().prop_map(ContentHash);
    let leaf = any::<u8>().prop_map(LeafId);
    let leaves = proptest::collection::vec((leaf.clone(), hash.clone()), 0..9);
    let names = || proptest::collection::vec((0_usize..9).prop_map(key), 0..6);
    let items = || {
        names()
            .prop_map(|keys| keys.into_iter().map(|key| (key, written(1, 1))).collect::<Vec<_>>())
    };
    let summary =
        |key: Key| Summary { hash: ContentHash(7), seen: written(2, 3).seen().clone(), key };
    let summaries = names().prop_map(move |keys| keys.into_iter().map(summary).collect::<Vec<_>>());
    let s = step.clone();
    prop_oneof![
        (s.clone(), hash.clone())
            .prop_map(|(step, hash)| Body::Repair(RepairMessage::Compare(Compare { step, hash }))),
        (s.clone(), any::<bool>()).prop_map(|(step, equal)| Body::Repair(RepairMessage::Compared(
            Compared { step, equal }
        ))),
        (s.clone(), partitions()).prop_map(|(step, partitions)| {
            let roots =
                partitions.into_iter().map(|partition| (partition, ContentHash(1))).collect();
            Body::Repair(RepairMessage::Roots(Roots { step, roots }))
        }),
        (s.clone(), partitions(), partitions()).prop_map(|(step, partitions, incomplete)| {
            Body::Repair(RepairMessage::RootsDiffer(RootsDiffer { step, partitions, incomplete }))
        }),
        (s.clone(), partition.clone(), hash).prop_map(|(step, partition, hash)| {
            Body::Repair(RepairMessage::Branches(Branches {
                step,
                partition,
                branches: [hash; FAN_OUT].into(),
            }))
        }),
        (s.clone(), any::<u16>()).prop_map(|(step, branches)| Body::Repair(
            RepairMessage::BranchesDiffer(BranchesDiffer { step, branches })
        )),
        (s.clone(), partition.clone(), leaves.clone()).prop_map(|(step, partition, leaves)| {
            Body::Repair(RepairMessage::Leaves(Leaves { step, partition, leaves }))
        }),
        (s.clone(), leaves).prop_map(|(step, leaves)| {
            let leaves = leaves.into_iter().map(|(leaf, _)| leaf).collect();
            Body::Repair(RepairMessage::LeavesDiffer(LeavesDiffer { step, leaves }))
        }),
        (s.clone(), partition.clone(), leaf, proptest::option::of((0_usize..9).prop_map(key)))
            .prop_map(|(step, partition, leaf, after)| {
                Body::Repair(RepairMessage::Summaries(SummariesRequest {
                    step,
                    partition,
                    leaf,
                    after,
                }))
            }),
        (s.clone(), summaries, any::<bool>()).prop_map(|(step, entries, more)| {
            Body::Repair(RepairMessage::Summarized(Summarized { step, entries, more }))
        }),
        (s.clone(), partition, items(), names()).prop_map(|(step, partition, pushed, wanted)| {
            Body::Repair(RepairMessage::Exchange(Exchange { step, partition, pushed, wanted }))
        }),
        (s.clone(), items()).prop_map(|(step, items)| {
            Body::Repair(RepairMessage::Exchanged(Exchanged { step, items }))
        }),
        s.prop_map(|step| Body::Repair(RepairMessage::ExchangeRefused(ExchangeRefused { step }))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The garbage names the request and often the step that the session waits for.
    #[test]
    fn garbage_is_answered_or_ignored_and_never_panics(
        messages in proptest::collection::vec((garbage(), any::<bool>()), 1..40),
    ) {
        let mut world = world(2, config());
        world.puts(1, &key(1), written(1, 1));
        for (body, waits) in messages {
            if waits {
                world.wait();
            }
            let session = world.member(1).machine.session.as_ref();
            let request = session.map_or(RequestId(0), |session| session.request());
            let message = world.member(2).local.message(NodeId(1), request, body);
            world.deliver(message);
        }
        for member in world.nodes.values_mut() {
            for record_key in member.store.keys() {
                if let Some(crate::storage::StoredRecord::Owned { partition, leaf, key }) =
                    crate::storage::parse_record_key(record_key)
                {
                    let ring = member.local.topology();
                    prop_assert_eq!(ring.partition_of(key.token()), partition);
                    prop_assert_eq!(leaf_of(key.token(), 4), leaf);
                }
            }
        }
    }
}
