//! Check `quiescence`: an idle cluster that has converged sends only gossip and comparisons of
//! roots, at a constant rate, and writes nothing.
//!
//! Where nodes are gone for ever, the others gossip with them now and then, so that they would be
//! found again, and that is all. Hints for them are looked at more and more seldom. With nodes that
//! are there and cannot do their part (their disk is full, say) repair goes on in vain, at a bounded
//! rate.

use kv_core::config::Config;
use kv_core::message::{GossipKind, Kind, RepairKind};
use kv_core::time::Span;

use super::check::Check;
use super::findings::Findings;
use super::{IdleWindow, Setting};

/// The `quiescence` check.
#[derive(Clone, Debug)]
pub(super) struct Quiescence {
    /// The findings so far, counted in messages.
    findings: Findings,
    /// The configuration of all nodes.
    config: Config,
}

/// The tolerance of rates: they may differ by one in this many.
const RATE_TOLERANCE: u64 = 10;

/// The tolerance of counts: messages that happen to fall on either side of the border between
/// windows.
const MESSAGES_TOLERANCE: u64 = 16;

/// The most messages, or storage commands, that a comparison takes that comes to nothing.
const VAIN_COMPARISON: u64 = 24;

/// The factor by which the pause between two looks at hints that cannot be delivered grows in the
/// end.
const PAUSES_GROW_BY: u64 = 64;

impl Check for Quiescence {
    const NAME: &'static str = "quiescence";
    const ABOUT: &'static str =
        "an idle cluster sends only gossip and comparisons, at a constant rate";

    fn new(setting: &Setting) -> Self {
        Self { findings: Findings::default(), config: setting.config.clone() }
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_idle(&mut self, windows: [&IdleWindow; 2]) {
        for window in windows {
            self.findings.examined += window.messages.values().sum::<u64>();
            if window.hints_expire {
                // Other owners take them over: that is work.
                self.findings.weakened += 1;
                return;
            }
            self.look_for_work(window);
            self.look_for_work_with_the_dead(window);
            self.bound_answers(window);
        }
        // In the first window pauses that grow may still be short.
        self.bound_what_is_in_vain(windows[1]);
        self.bound_probes(windows);
        self.compare_rates(windows);
    }
}

impl Quiescence {
    fn look_for_work(&mut self, window: &IdleWindow) {
        let IdleWindow { messages, length, commits, .. } = window;
        let works = |&&kind: &&Kind| !is_idle(kind) && window.promising(kind) > 0;
        let busy = messages.keys().filter(works);
        let busy = busy.map(|&kind| format!("{} x {}", window.promising(kind), kind.name()));
        let busy: Vec<_> = busy.collect();
        let length = length.as_ms();
        if !busy.is_empty() {
            self.findings.violated(|| {
                let busy = busy.join(", ");
                format!(
                    "an idle, converged cluster still works\n  sent:   {busy}, within {length} ms"
                )
            });
        }
        if *commits > 0 && (!window.hindered.is_empty() || *commits <= window.corrupt_hints) {
            // Of nodes that cannot do their part, the others may still learn bit by bit. And a hint that
            // cannot be read is deleted when its turn comes.
            self.findings.weakened += 1;
        } else if *commits > 0 {
            self.findings.violated(|| {
                format!(
                    "an idle, converged cluster still writes\n  stores: {commits} batches were \
                     committed within {length} ms"
                )
            });
        }
    }

    /// Bounds the number of ACK2s by that of ACKs. An ACK2 answers an ACK that asked for something,
    /// and many ask for nothing: their number follows from which node happens to have heard of
    /// which already, so it is bounded, not constant.
    fn bound_answers(&mut self, window: &IdleWindow) {
        let sent = |kind| window.messages.get(&kind).copied().unwrap_or(0);
        let (acks, answers) =
            (sent(Kind::Gossip(GossipKind::Ack)), sent(Kind::Gossip(GossipKind::Ack2)));
        if answers > acks + MESSAGES_TOLERANCE {
            self.findings.violated(|| {
                format!(
                    "an idle, converged cluster gossips more than it was asked\n  {answers} x {} to \
                     {acks} x {} within {} ms",
                    Kind::Gossip(GossipKind::Ack2).name(),
                    Kind::Gossip(GossipKind::Ack).name(),
                    window.length.as_ms(),
                )
            });
        }
    }

    fn look_for_work_with_the_dead(&mut self, window: &IdleWindow) {
        // Who does not know of the founding asks, and is answered even if it cannot hear that.
        let is_answer = |kind: Kind| is_gossip(kind) || matches!(kind, Kind::Founding(_));
        let sent: Vec<_> = window.in_vain.iter().filter(|(kind, _)| !is_answer(**kind)).collect();
        if !sent.is_empty() {
            self.findings.violated(|| {
                let sent = sent.iter().map(|(kind, sent)| format!("{sent} x {}", kind.name()));
                let sent: Vec<_> = sent.collect();
                format!(
                    "an idle cluster works with nodes that have been gone for long\n  sent:   {}, \
                     within {} ms",
                    sent.join(", "),
                    window.length.as_ms(),
                )
            });
        }
    }

    /// Bounds the work with nodes that cannot do their part, and all that nodes do without a
    /// message.
    fn bound_what_is_in_vain(&mut self, window: &IdleWindow) {
        let &IdleWindow { length, commands, calls, running, kept, .. } = window;
        let Config { gossip_fanout, repair_interval_ms, hint_retry_ms, .. } = self.config;
        let times = |interval: Span| length.0 / interval.0.max(1) + 1;
        let rounds = times(self.config.gossip_interval());
        let repairs = times(Span::from_ms(repair_interval_ms));
        // After a first window as long as this one, pauses last as long as half of that, or are as
        // long as they get.
        let looks = kept * (2 + times(Span::from_ms(hint_retry_ms).times(PAUSES_GROW_BY)));
        let are_well = window.hindered.is_empty() && running == window.groups.iter().sum::<u64>();
        let vain_repairs = if are_well { 0 } else { VAIN_COMPARISON };
        let hindered = window.hindered.iter().filter(|(kind, _)| !is_gossip(**kind));
        let hindered = hindered.map(|(_, sent)| sent).sum();
        let limits = [
            ("messages to nodes that cannot do their part", hindered, {
                running * repairs * VAIN_COMPARISON + looks * 2
            }),
            ("storage commands", commands, running * repairs * vain_repairs + looks),
            ("calls at deadlines", calls, {
                running * (rounds * (gossip_fanout + 2) + repairs * 4) * 2 + looks * 2
            }),
        ];
        for (what, count, limit) in limits {
            if count > limit {
                self.findings.violated(|| {
                    format!(
                        "an idle cluster spins\n  {what}: {count} within {} ms; for {running} nodes \
                         that run and hints for others in {kept} places, {limit} are plenty",
                        length.as_ms(),
                    )
                });
            }
        }
    }

    /// Bounds the SYNs to nodes that are gone. A round talks to as many peers as ever; where enough
    /// seem up, one of those that seem down is tried in every second round at most.
    fn bound_probes(&mut self, windows: [&IdleWindow; 2]) {
        let (mut limit, mut chances) = (0, 0);
        for window in windows {
            let rounds = window.length.0 / self.config.gossip_interval().0.max(1) + 1;
            let places = self.config.gossip_fanout.min(window.members - 1);
            for &size in &window.groups {
                match (places + 1).saturating_sub(size) {
                    0 => chances += size * rounds,
                    vacant => limit += size * rounds * vacant,
                }
            }
        }
        // Chance makes it more than every second at times: by five standard deviations once in
        // millions of runs.
        limit += (chances + 5 * chances.isqrt()).div_ceil(2);
        let syn = Kind::Gossip(GossipKind::Syn);
        let probes = windows.iter().filter_map(|window| window.in_vain.get(&syn));
        let probes: u64 = probes.sum();
        if probes > limit {
            self.findings.violated(|| {
                format!(
                    "an idle cluster probes nodes that are gone too often\n  sent:   {probes} x {}, \
                     and {limit} are plenty",
                    syn.name()
                )
            });
        }
    }

    fn compare_rates(&mut self, [first, second]: [&IdleWindow; 2]) {
        for &kind in Kind::ALL.iter().filter(|&&kind| kind != Kind::Gossip(GossipKind::Ack2)) {
            let hindered = |window: &IdleWindow| window.hindered.get(&kind).copied().unwrap_or(0);
            let sent = |window: &IdleWindow| {
                window.messages.get(&kind).copied().unwrap_or(0) - hindered(window)
            };
            // Each count is taken times the length of the other window, so that rates are compared
            // without dividing.
            let scaled = |window: &IdleWindow, by: &IdleWindow| {
                u128::from(sent(window)) * u128::from(by.length.0)
            };
            let (a, b) = (scaled(first, second), scaled(second, first));
            let longer = u128::from(first.length.max(second.length).0);
            let slack =
                a.max(b) / u128::from(RATE_TOLERANCE) + u128::from(MESSAGES_TOLERANCE) * longer;
            if a.abs_diff(b) > slack {
                self.findings.violated(|| {
                    format!(
                        "an idle, converged cluster sends at a changing rate\n  {}: {} within {} \
                         ms, then {} within {} ms",
                        kind.name(),
                        sent(first),
                        first.length.as_ms(),
                        sent(second),
                        second.length.as_ms(),
                    )
                });
            }
        }
    }
}

/// Tells whether a cluster in which nothing happens may send messages of this kind: gossip, and comparisons
/// that find everything equal.
pub const fn is_idle(kind: Kind) -> bool {
    matches!(kind, Kind::Gossip(_) | Kind::Repair(RepairKind::Compare | RepairKind::Compared))
}

/// Tells whether messages of this kind are gossip.
const fn is_gossip(kind: Kind) -> bool {
    matches!(kind, Kind::Gossip(_))
}

impl IdleWindow {
    /// The number of messages of a kind to nodes that hear them and can do their part.
    fn promising(&self, kind: Kind) -> u64 {
        let [all, in_vain, hindered] = [&self.messages, &self.in_vain, &self.hindered]
            .map(|sent| sent.get(&kind).copied().unwrap_or(0));
        all - in_vain - hindered
    }
}

#[cfg(test)]
mod tests {
    use kv_core::message::HandoffKind;

    use super::*;

    fn window(messages: &[(Kind, u64)]) -> IdleWindow {
        let messages = messages.iter().copied().collect();
        IdleWindow {
            length: Span::from_ms(10_000),
            messages,
            running: 10,
            members: 10,
            groups: vec![10],
            ..IdleWindow::default()
        }
    }

    fn violation(first: &IdleWindow, second: &IdleWindow) -> Option<String> {
        let (findings, config) = (Findings::default(), Config::default());
        let mut quiescence = Quiescence { findings, config };
        quiescence.on_idle([first, second]);
        quiescence.findings.violation()
    }

    #[test]
    fn gossip_and_comparisons_at_a_constant_rate_are_quiet() {
        let first = window(&[
            (Kind::Gossip(GossipKind::Syn), 300),
            (Kind::Repair(RepairKind::Compare), 50),
        ]);
        let second = window(&[
            (Kind::Gossip(GossipKind::Syn), 320),
            (Kind::Repair(RepairKind::Compare), 55),
        ]);
        assert_eq!(violation(&first, &second), None);
    }

    #[test]
    fn a_message_that_does_work_is_not_quiet() {
        let busy =
            window(&[(Kind::Gossip(GossipKind::Syn), 300), (Kind::Repair(RepairKind::Leaves), 1)]);
        let story =
            violation(&busy, &window(&[(Kind::Gossip(GossipKind::Syn), 300)])).expect("it works");
        assert!(story.contains("1 x repair-leaves"), "{story}");
    }

    #[test]
    fn a_commit_is_not_quiet() {
        let writes = IdleWindow { commits: 1, ..window(&[]) };
        assert!(violation(&window(&[]), &writes).expect("it writes").contains("1 batches"));
    }

    #[test]
    fn gossip_answers_as_often_as_it_is_asked_and_no_more_often() {
        // Seen at seed 398 of flapping-partition.toml: 118 in one window, 149 in the next.
        let window = |answers| {
            window(&[
                (Kind::Gossip(GossipKind::Syn), 210),
                (Kind::Gossip(GossipKind::Ack), 210),
                (Kind::Gossip(GossipKind::Ack2), answers),
            ])
        };
        assert_eq!(violation(&window(118), &window(149)), None);
        assert!(violation(&window(118), &window(240)).expect("too many").contains("240 x"));
    }

    #[test]
    fn a_rate_that_grows_is_not_quiet_and_a_longer_window_is_no_growth() {
        let first = window(&[(Kind::Gossip(GossipKind::Ack), 300)]);
        let grown = window(&[(Kind::Gossip(GossipKind::Ack), 360)]);
        assert!(violation(&first, &grown).expect("it grows").contains("gossip-ack"));
        let longer = IdleWindow {
            length: Span::from_ms(20_000),
            ..window(&[(Kind::Gossip(GossipKind::Ack), 600)])
        };
        assert_eq!(violation(&first, &longer), None);
    }
    const SYN: Kind = Kind::Gossip(GossipKind::Syn);

    /// A cluster of 12 nodes, 5 of which are gone, that gossips.
    fn with_dead(in_vain: &[(Kind, u64)]) -> IdleWindow {
        let messages = [(SYN, 210)].into_iter().chain(in_vain.iter().copied());
        let mut sent = IdleWindow { running: 7, members: 12, groups: vec![7], ..window(&[]) };
        sent.in_vain = in_vain.iter().copied().collect();
        for (kind, count) in messages {
            *sent.messages.entry(kind).or_default() += count;
        }
        sent
    }

    #[test]
    fn the_dead_are_tried_in_every_second_round_and_no_more_often() {
        let quiet = with_dead(&[(SYN, 53)]);
        assert_eq!(violation(&quiet, &quiet), None);
        let loud = with_dead(&[(SYN, 70)]);
        assert!(violation(&loud, &loud).expect("it probes").contains("140 x gossip-syn"));
    }

    #[test]
    fn where_few_are_left_the_places_of_a_round_go_to_the_dead() {
        let alone = |sent| IdleWindow { running: 1, groups: vec![1], ..with_dead(&[(SYN, sent)]) };
        assert_eq!(violation(&alone(33), &alone(33)), None);
        assert!(violation(&alone(60), &alone(60)).is_some());
    }

    #[test]
    fn work_with_the_dead_is_not_quiet() {
        let works = with_dead(&[(Kind::Repair(RepairKind::Compare), 1)]);
        let story = violation(&works, &with_dead(&[])).expect("it works");
        assert!(story.contains("1 x repair-compare"), "{story}");
    }

    #[test]
    fn hints_that_cannot_be_delivered_are_looked_at_seldom() {
        let looks = |commands| IdleWindow { commands, kept: 3, ..with_dead(&[]) };
        assert_eq!(violation(&looks(30), &looks(9)), None);
        assert!(violation(&looks(9), &looks(10)).expect("it spins").contains("10 within"));
    }

    #[test]
    fn who_calls_a_node_again_and_again_for_nothing_is_found() {
        let calls = |calls| IdleWindow { calls, ..with_dead(&[]) };
        assert_eq!(violation(&calls(500), &calls(500)), None);
        assert!(violation(&calls(10_000), &calls(10_000)).expect("it spins").contains("calls"));
    }

    #[test]
    fn work_with_nodes_that_cannot_do_their_part_is_bounded() {
        let vain = |sent| {
            let mut window = with_dead(&[]);
            window.hindered = [(Kind::Handoff(HandoffKind::Deliver), sent)].into();
            window.messages.extend(window.hindered.clone());
            IdleWindow { commits: 1, ..window }
        };
        assert_eq!(violation(&vain(50), &vain(50)), None);
        assert!(violation(&vain(2_000), &vain(2_000)).is_some());
    }

    #[test]
    fn a_corrupt_hint_that_is_found_late_is_deleted_then() {
        let deletes = |commits| IdleWindow { commits, corrupt_hints: 1, ..window(&[]) };
        assert_eq!(violation(&window(&[]), &deletes(1)), None);
        assert!(violation(&window(&[]), &deletes(2)).expect("it writes").contains("2 batches"));
    }

    #[test]
    fn hints_that_expire_are_taken_over_and_that_is_work() {
        let expires = IdleWindow {
            hints_expire: true,
            commits: 7,
            ..window(&[(Kind::Handoff(HandoffKind::Deliver), 9)])
        };
        assert_eq!(violation(&expires, &expires), None);
    }
}
