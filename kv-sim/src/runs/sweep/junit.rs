//! A sweep as JUnit: a suite per scenario, a case per seed and per rare branch that it was judged
//! by, and one for each check that proved nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Examined, Failure, ReachVerdict, Reachability, Summary};
use crate::scenario::Source;

/// Writes the XML of a sweep over these scenarios. `replay` gives the command for a failure.
///
/// # Errors
/// [`SerializeError`], if the XML cannot be written, which none of our texts causes.
pub fn junit(
    scenarios: &[Source],
    summary: &Summary,
    replay: impl Fn(&Failure) -> String,
) -> Result<String, SerializeError> {
    let failures: BTreeMap<_, _> = summary
        .failures
        .iter()
        .map(|failure| ((failure.position, failure.seed), failure))
        .collect();
    let mut report = Report::new("kv-sim");
    for (position, scenario) in scenarios.iter().enumerate() {
        let mut suite = TestSuite::new(scenario.name());
        for record in summary.records.iter().filter(|record| record.position == position) {
            let status = failures.get(&(position, record.seed)).map_or_else(
                TestCaseStatus::success,
                |failure| {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_type(failure.check.as_str());
                    status.set_message(failure.violation.lines().next().unwrap_or_default());
                    status.set_description(format!("{}\n\n{}", failure.violation, replay(failure)));
                    status
                },
            );
            let mut case = TestCase::new(format!("seed {}", record.seed), status);
            case.set_classname(scenario.name());
            case.set_time(Duration::from_secs_f64(record.wall_ms / 1_000.0));
            suite.add_test_case(case);
        }
        let judged = summary.reachability.iter().filter(|one| one.position == position);
        for one in judged {
            let Reachability { probe, within, seeds, .. } = one;
            let status = match one.verdict {
                ReachVerdict::NotJudged => continue,
                ReachVerdict::Reached => TestCaseStatus::success(),
                ReachVerdict::Unreached => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_type("probes");
                    status.set_message(format!("{probe} was not reached in {seeds} seeds"));
                    status
                }
            };
            let mut case = TestCase::new(format!("{probe} within {within} seeds"), status);
            case.set_classname(scenario.name());
            suite.add_test_case(case);
        }
        for one in summary.idle_checks().filter(|one| one.position == position) {
            let Examined { check, seeds, .. } = one;
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("examined");
            status.set_message(format!("{check} examined nothing in {seeds} seeds"));
            let mut case = TestCase::new(format!("{check} examines something"), status);
            case.set_classname(scenario.name());
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}
