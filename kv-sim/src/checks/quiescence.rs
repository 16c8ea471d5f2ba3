//! Check `quiescence`: an idle cluster that has converged sends only gossip and comparisons of
//! roots, at a constant rate, and writes nothing.

use kv_core::message::{GossipKind, Kind, RepairKind};

use super::check::Check;
use super::findings::Findings;
use super::{IdleWindow, Setting};

/// The `quiescence` check.
#[derive(Clone, Debug, Default)]
pub(super) struct Quiescence {
    /// The findings so far, counted in messages.
    findings: Findings,
}

/// The tolerance of rates: they may differ by one in this many.
const RATE_TOLERANCE: u64 = 10;

/// The tolerance of counts: messages that happen to fall on either side of the border between
/// windows.
const MESSAGES_TOLERANCE: u64 = 16;

impl Check for Quiescence {
    const NAME: &'static str = "quiescence";
    const ABOUT: &'static str =
        "an idle cluster sends only gossip and comparisons, at a constant rate";

    fn new(_: &Setting) -> Self {
        Self::default()
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn on_idle(&mut self, windows: [&IdleWindow; 2]) {
        for window in windows {
            self.findings.examined += window.messages.values().sum::<u64>();
            self.look_for_work(window);
            self.bound_answers(window);
        }
        self.compare_rates(windows);
    }
}

impl Quiescence {
    fn look_for_work(&mut self, window: &IdleWindow) {
        let busy = window.messages.iter().filter(|&(&kind, &count)| count > 0 && !is_idle(kind));
        let busy: Vec<_> = busy.map(|(kind, count)| format!("{count} x {}", kind.name())).collect();
        if !busy.is_empty() {
            self.findings.violated(|| {
                let (busy, length) = (busy.join(", "), window.length.as_ms());
                format!(
                    "an idle, converged cluster still works\n  sent:   {busy}, within {length} ms"
                )
            });
        }
        if window.commits > 0 {
            self.findings.violated(|| {
                let IdleWindow { commits, length, .. } = window;
                format!(
                    "an idle, converged cluster still writes\n  stores: {commits} batches were \
                     committed within {} ms",
                    length.as_ms()
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

    fn compare_rates(&mut self, [first, second]: [&IdleWindow; 2]) {
        for &kind in Kind::ALL.iter().filter(|&&kind| kind != Kind::Gossip(GossipKind::Ack2)) {
            let sent = |window: &IdleWindow| window.messages.get(&kind).copied().unwrap_or(0);
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
const fn is_idle(kind: Kind) -> bool {
    matches!(kind, Kind::Gossip(_) | Kind::Repair(RepairKind::Compare | RepairKind::Compared))
}

#[cfg(test)]
mod tests {
    use kv_core::time::Span;

    use super::*;

    fn window(messages: &[(Kind, u64)]) -> IdleWindow {
        let messages = messages.iter().copied().collect();
        IdleWindow { length: Span::from_ms(10_000), messages, commits: 0 }
    }

    fn violation(first: &IdleWindow, second: &IdleWindow) -> Option<String> {
        let mut quiescence = Quiescence::default();
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
}
