//! Every scenario in `scenarios/` is valid and holds for its own seed; and a run is the same in
//! debug and release builds.

use std::fs;
use std::path::Path;

use kv_sim::runs::options::RunOptions;
use kv_sim::runs::run::run;
use kv_sim::scenario::{Colour, Source, all};
use kv_sim::story::result::{RunResult, Verdict};

fn scenarios() -> Vec<Source> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let load = |path: &Path| {
        let text = fs::read_to_string(folder.join(path)).expect("the scenario can be read");
        match Source::parse(&path.to_string_lossy(), &text) {
            Ok(source) => source,
            Err(error) => panic!("{}", error.render(Colour::Plain)),
        }
    };
    all(folder).iter().map(|path| load(path)).collect()
}

fn run_own_seed(source: &Source) -> RunResult {
    let scenario = source.scenario(source.seed()).expect("it fits");
    run(&scenario, &RunOptions::seeded(source.seed()))
}

#[test]
fn every_scenario_holds_for_its_own_seed() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 10, "there are scenarios");
    for scenario in scenarios {
        let result = run_own_seed(&scenario);
        assert_eq!(result.verdict, Verdict::Pass, "{}: {:?}", scenario.name(), result.violation());
    }
}

#[test]
fn a_run_is_the_same_in_every_build() {
    // The digest of one run, frozen: a debug build and a release build are both held against it,
    // and so is every machine. It changes with the protocol: then set it anew.
    let scenarios = scenarios();
    let partition = scenarios.iter().find(|scenario| scenario.name() == "partition");
    let result = run_own_seed(partition.expect("partition.toml is there"));
    insta::assert_snapshot!("partition_digest", result.digest.to_string());
}
