//! Nodes on hosts of their own, in a network that fails: a short form of `cargo trial network`.

use crate::hosts::Hosts;
use crate::network_rounds::{self, Arguments};
use crate::sandbox::{self, Place};
use crate::support::{Cluster, QUICK, new_folder};
use crate::writers;

#[test]
fn nodes_that_are_cut_off_under_writes_lose_none_that_was_acknowledged_and_come_back() {
    let this = "network::nodes_that_are_cut_off_under_writes_lose_none_that_was_acknowledged_and_come_back";
    match sandbox::enter([this, "--exact", "--nocapture"]) {
        Place::Outside(status) => assert!(status.success(), "what it said stands above"),
        Place::NotAllowed(reason) => println!("skipped: there can be no namespaces here: {reason}"),
        Place::Inside => {
            let hosts = Hosts::new(writers::NODES);
            let cluster = Cluster::on(hosts.all(), new_folder("network"), QUICK);
            let arguments = Arguments { rounds: 3, seconds: 3, writers: 4, seed: Some(0) };
            let outcome =
                network_rounds::run(&hosts, &cluster, &arguments).expect("the seed is given");
            let lost = &outcome.counts.lost;
            assert!(lost.is_empty(), "{lost:#?}");
            assert!(outcome.counts.verified >= outcome.counts.acked);
        }
    }
}
