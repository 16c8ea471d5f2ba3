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
