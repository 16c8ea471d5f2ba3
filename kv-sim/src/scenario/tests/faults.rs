//! Faults of a scenario: when they happen, and the words that an author reads when a table of one
//! makes no sense.

use super::*;
use crate::faults::FAULTS;

#[test]
fn bit_rot_has_no_end_that_must_be_said() {
    let scenario =
        scenario("[[fault]]\nkind = \"bit-rot\"\nrandom = 1\nrecords = 3\nfrom_ms = 5\n");
    assert_eq!(scenario.faults[0].until, None);
    assert_eq!(scenario.faults_end(), Span::from_ms(5));
}

#[test]
fn a_fault_that_repeats_occurs_as_often_as_it_says() {
    let scenario = scenario(
        "[[fault]]\nkind = \"kill\"\nrandom = 1\nfrom_ms = 100\nuntil_ms = 200\nevery_ms = 500\ntimes = 3\n",
    );
    let fault = &scenario.faults[0];
    let times: Vec<_> = fault
        .occurrences()
        .map(|occurrence| (occurrence.from.as_ms(), occurrence.until.map(Span::as_ms)))
        .collect();
    assert_eq!(times, [(100, Some(200)), (600, Some(700)), (1_100, Some(1_200))]);
    assert_eq!(fault.end(), Span::from_ms(1_200));
    assert_eq!(scenario.faults_end(), Span::from_ms(1_200));
}

#[test]
fn a_fault_that_ends_before_it_begins_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"kill\"\nfrom_ms = 2000\nuntil_ms = 2000\nrandom = 1\n"
    ));
}

#[test]
fn a_fault_without_an_end_is_refused() {
    assert_snapshot!(refused("[[fault]]\nkind = \"kill\"\nfrom_ms = 2000\nrandom = 1\n"));
}

#[test]
fn a_missing_end_is_answered_with_the_kinds_that_need_none() {
    let text = refused("[[fault]]\nkind = \"kill\"\nfrom_ms = 2000\nrandom = 1\n");
    for word in FAULTS.iter().filter(|word| !word.must_end) {
        assert!(text.contains(word.name), "{}: {text}", word.name);
    }
}

#[test]
fn a_fault_that_begins_again_before_it_ends_is_refused() {
    assert_snapshot!(refused(
        "[[fault]]\nkind = \"kill\"\nfrom_ms = 1\nuntil_ms = 100\nrandom = 1\nevery_ms = 50\ntimes = 2\n"
    ));
}

#[test]
fn an_unknown_fault_is_answered_with_the_nearest_one() {
    assert_snapshot!(refused("[[fault]]\nkind = \"partitions\"\nfrom_ms = 1\nuntil_ms = 2\n"));
}

#[test]
fn a_fault_of_a_later_version_is_refused_as_such() {
    assert_snapshot!(refused("[[fault]]\nkind = \"upgrade\"\nfrom_ms = 1\nuntil_ms = 2\n"));
}

#[test]
fn a_fault_without_a_kind_is_refused() {
    assert_snapshot!(refused("[[fault]]\nfrom_ms = 1\nuntil_ms = 2\n"));
}

#[test]
fn a_fault_may_last_for_ever_if_it_says_so() {
    let scenario =
        scenario("[[fault]]\nkind = \"kill\"\nrandom = 1\nfrom_ms = 100\nuntil = \"never\"\n");
    let fault = &scenario.faults[0];
    assert!(fault.is_lasting());
    assert_eq!((fault.until, fault.end()), (None, Span::from_ms(100)));
}

#[test]
fn faults_of_one_moment_do_not_last() {
    let scenario =
        scenario("[[fault]]\nkind = \"bit-rot\"\nrandom = 1\nrecords = 3\nfrom_ms = 5\n");
    assert!(!scenario.faults[0].is_lasting());
}

#[test]
fn a_fault_of_which_it_makes_no_sense_cannot_last_for_ever() {
    let lasts = |kind: &str, keys: &str| {
        format!("[[fault]]\nkind = \"{kind}\"\nfrom_ms = 1\nuntil = \"never\"\n{keys}\n")
    };
    assert_snapshot!(refused(&lasts("loss", "probability = 0.5")));
    let groups = "groups = [[\"n1\"], [\"n2\"]]";
    for (kind, keys) in [
        ("partition", format!("{groups}\nflap_ms = 100")),
        ("partition", format!("{groups}\nmessages = [\"hint\"]")),
        ("clog", "messages = [\"hint\"]".to_owned()),
        ("swizzle", String::new()),
        ("bit-rot", "random = 1\nrecords = 1".to_owned()),
        ("slow-disk", "random = 1\nfactor = 2".to_owned()),
    ] {
        let text = refused(&lasts(kind, &keys));
        assert!(text.contains("cannot last for ever"), "{kind}: {text}");
    }
}

#[test]
fn a_fault_has_one_end_and_happens_once_if_it_has_none() {
    let kill = |keys: &str| {
        refused(&format!("[[fault]]\nkind = \"kill\"\nrandom = 1\nfrom_ms = 1\n{keys}\n"))
    };
    assert!(kill("until = \"never\"\nuntil_ms = 2").contains("a fault has one end"));
    assert!(kill("until = \"nevr\"").contains("did you mean `never`?"));
    assert!(kill("until = \"never\"\nevery_ms = 9\ntimes = 2").contains("happens once"));
}
