//! The table of owners against what it promises, and against a walk that is written out plainly.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use proptest::prelude::*;

use super::*;
use crate::layout::Replication;

fn layout_of(nodes: u64, partitions: u32, n: u8) -> Layout {
    Layout::single_datacenter(partitions, n, (1..=nodes).map(|id| (NodeId(id), format!("n{id}"))))
}

fn ring_of(nodes: u64, partitions: u32, n: u8) -> Ring {
    Ring::new(layout_of(nodes, partitions, n)).expect("the layout is sound")
}

fn member(id: u64, weight: u16, machine: &str, rack: &str, datacenter: &str) -> Member {
    Member {
        id: NodeId(id),
        name: format!("n{id}"),
        weight,
        machine: machine.into(),
        rack: rack.into(),
        datacenter: datacenter.into(),
    }
}

fn fullest(ring: &Ring) -> usize {
    let loads = ring.members().iter().map(|member| ring.owned_by(member.id).len());
    loads.max().expect("there are members")
}

fn names_of<'a>(
    ring: &'a Ring,
    owners: &[NodeId],
    label: impl Fn(&'a Member) -> &'a String,
) -> BTreeSet<&'a String> {
    let member = |&id: &NodeId| ring.member(id).expect("owners are members");
    owners.iter().map(|id| label(member(id))).collect()
}

#[test]
fn no_node_of_thirty_or_two_hundred_carries_more_than_the_bound() {
    for nodes in [30, 200] {
        let ring = ring_of(nodes, 16_384, 3);
        let bound = (16_384 * 3 * 105_u64).div_ceil(nodes * 100) as usize;
        assert!(fullest(&ring) <= bound, "{} > {bound}", fullest(&ring));
    }
}

#[test]
fn load_follows_weight() {
    let mut layout = layout_of(30, 16_384, 3);
    for member in &mut layout.members[..10] {
        member.weight = 2;
    }
    let ring = Ring::new(layout).expect("the layout is sound");
    let fair = 16_384 * 3 / 40;
    for member in ring.members() {
        let fair = fair * usize::from(member.weight);
        let load = ring.owned_by(member.id).len();
        assert!((fair * 80 / 100..=fair * 106 / 100).contains(&load), "{load} of {fair}");
    }
}

#[test]
fn a_join_moves_about_the_newcomers_fair_share() {
    for nodes in [5, 30, 100] {
        let (before, after) = (ring_of(nodes, 16_384, 3), ring_of(nodes + 1, 16_384, 3));
        let gained: u64 = moves(&before, &after).iter().map(|one| one.gained.len() as u64).sum();
        let fair = 16_384 * 3 / (nodes + 1);
        assert!((fair * 90..=fair * 130).contains(&(gained * 100)), "{gained} of {fair}");
    }
}

#[test]
fn a_leave_moves_about_the_leavers_share() {
    let (before, after) = (ring_of(31, 16_384, 3), ring_of(30, 16_384, 3));
    let lost: u64 = moves(&before, &after).iter().map(|one| one.lost.len() as u64).sum();
    let fair = 16_384 * 3 / 31;
    assert!((fair * 90..=fair * 130).contains(&(lost * 100)), "{lost} of {fair}");
}

#[test]
fn moves_name_exactly_the_difference() {
    let (before, after) = (ring_of(4, 64, 3), ring_of(5, 64, 3));
    let moves = moves(&before, &after);
    for partition in after.partitions() {
        let mut owners: BTreeSet<NodeId> = before.owners(partition).iter().copied().collect();
        if let Some(one) = moves.iter().find(|one| one.partition == partition) {
            assert!(one.lost.iter().all(|node| owners.remove(node)));
            assert!(one.gained.iter().all(|&node| owners.insert(node)));
        }
        assert!(after.owners(partition).iter().copied().collect::<BTreeSet<_>>() == owners);
    }
    assert_eq!(super::moves(&after, &after), []);
}

#[test]
fn no_list_has_two_nodes_on_one_machine() {
    let mut layout = layout_of(12, 256, 3);
    for (index, member) in layout.members.iter_mut().enumerate() {
        member.machine = format!("m{}", index / 3);
        member.rack = "r".into();
    }
    let ring = Ring::new(layout).expect("the layout is sound");
    for partition in ring.partitions() {
        assert_eq!(names_of(&ring, ring.owners(partition), |member| &member.machine).len(), 3);
    }
    assert_eq!(ring.machine(NodeId(1)), ring.machine(NodeId(3)));
    assert_ne!(ring.machine(NodeId(3)), ring.machine(NodeId(4)));
    assert_eq!(ring.machine(NodeId(99)), None);
}

#[test]
fn copies_are_spread_over_racks_though_racks_differ_in_size() {
    let mut layout = layout_of(12, 256, 3);
    for (index, member) in layout.members.iter_mut().enumerate() {
        member.rack = ["a", "a", "a", "a", "a", "a", "a", "b", "b", "b", "b", "c"][index].into();
    }
    let ring = Ring::new(layout).expect("the layout is sound");
    for partition in ring.partitions() {
        assert_eq!(names_of(&ring, ring.owners(partition), |member| &member.rack).len(), 3);
    }
    // The only node of its rack carries everything: the bound goes before the racks.
    assert_eq!(ring.owned_by(NodeId(12)).len(), 256);
}

#[test]
fn racks_are_given_up_before_machines() {
    let mut layout = layout_of(4, 64, 3);
    layout.members[0].rack = "a".into();
    for member in &mut layout.members[1..] {
        member.machine = "m".into();
        member.rack = "b".into();
    }
    layout.members[3].machine = "other".into();
    let ring = Ring::new(layout).expect("the layout is sound");
    for partition in ring.partitions() {
        assert_eq!(names_of(&ring, ring.owners(partition), |member| &member.machine).len(), 3);
    }
}

#[test]
fn each_data_center_keeps_its_own_number_of_copies() {
    let places = ["east", "east", "east", "west", "west", "north"];
    let mut layout = layout_of(18, 512, 1);
    for (index, member) in layout.members.iter_mut().enumerate() {
        member.datacenter = places[index % 6].into();
    }
    let replication = |datacenter: &str, n| Replication { datacenter: datacenter.into(), n };
    layout.replication =
        vec![replication("west", 3), replication("east", 2), replication("north", 1)];
    let ring = Ring::new(layout).expect("the layout is sound");
    for partition in ring.partitions() {
        let owners = ring.owners(partition);
        let in_order = ["west", "east", "north"].map(|name| ring.owners_in(partition, name));
        assert_eq!(in_order.map(<[_]>::len), [3, 2, 1]);
        assert_eq!(in_order.concat(), owners);
        let in_west = names_of(&ring, in_order[0], |member| &member.datacenter);
        assert_eq!(in_west.into_iter().collect::<Vec<_>>(), ["west"]);
        assert_eq!(ring.owners_in(partition, "south"), []);
    }
}

#[test]
fn fallbacks_are_all_the_others_and_stand_clockwise() {
    let ring = ring_of(7, 64, 3);
    for partition in ring.partitions() {
        let fallbacks: Vec<_> = ring.fallbacks(partition).collect();
        assert_eq!(fallbacks.len(), 4);
        let mut everybody: Vec<_> = ring.owners(partition).to_vec();
        everybody.extend(&fallbacks);
        everybody.sort_unstable();
        assert!(everybody.iter().eq(ring.members().iter().map(|member| &member.id)));

        let mut clockwise = dumb_walk(ring.layout(), ring.partition_start(partition), "dc1");
        clockwise.retain(|node| fallbacks.contains(node));
        let mut met = BTreeSet::new();
        clockwise.retain(|&node| met.insert(node));
        assert_eq!(fallbacks, clockwise);
    }
}

#[test]
fn the_top_bits_of_a_token_name_its_partition() {
    for partitions in [1, 2, 256] {
        let ring = ring_of(3, partitions, 3);
        for partition in ring.partitions() {
            let start = ring.partition_start(partition);
            assert_eq!(ring.partition_of(start), partition);
            let last_of_former = Token(start.0.wrapping_sub(1));
            let former = (partition.0 + partitions - 1) % partitions;
            assert_eq!(ring.partition_of(last_of_former), PartitionId(former));
        }
    }
}

#[test]
fn owners_do_not_hang_on_the_order_of_members_or_on_names() {
    let layout = layout_of(9, 128, 3);
    let mut other = layout.clone();
    other.members.reverse();
    for member in &mut other.members {
        member.name = format!("renamed-{}", member.id);
    }
    let (ring, other) = (Ring::new(layout).expect("sound"), Ring::new(other).expect("sound"));
    assert_eq!(moves(&ring, &other), []);
    assert_ne!(ring.layout_hash(), other.layout_hash());
}

#[test]
fn an_unsound_layout_makes_no_ring() {
    let error = Ring::new(layout_of(2, 64, 3)).expect_err("there are two machines");
    assert!(matches!(error, LayoutError::TooFewMachines { .. }));
}

#[test]
fn owners_are_what_they_always_were() {
    let ring = ring_of(5, 8, 3);
    let owners = ring.partitions().map(|partition| {
        let ids: Vec<_> = ring.owners(partition).iter().map(|node| node.0).collect();
        <[u64; 3]>::try_from(ids).expect("there are three copies")
    });
    assert_eq!(
        owners.collect::<Vec<_>>(),
        [[3, 4, 2], [1, 5, 4], [2, 5, 3], [3, 5, 4], [2, 5, 1], [2, 1, 5], [2, 5, 1], [1, 2, 4]]
    );
}

/// One lap of a data center from a token, found by looking at every virtual node.
fn dumb_walk(layout: &Layout, start: Token, datacenter: &str) -> Vec<NodeId> {
    let mut stops = Vec::new();
    for member in layout.members.iter().filter(|member| member.datacenter == datacenter) {
        for number in 0..u32::from(member.weight) * 128 {
            let mut bytes = member.id.0.to_be_bytes().to_vec();
            bytes.extend(number.to_be_bytes());
            stops.push((Token::of(&bytes).0.wrapping_sub(start.0), member.id));
        }
    }
    stops.sort_unstable();
    stops.into_iter().map(|(_, node)| node).collect()
}

/// The preference lists of all partitions, by the words of the design and without a thought for
/// speed.
fn dumb_owners(layout: &Layout) -> Vec<Vec<NodeId>> {
    let mut lists = vec![Vec::new(); layout.partitions as usize];
    let member = |id: NodeId| layout.members.iter().find(|member| member.id == id).expect("known");
    for replication in &layout.replication {
        let here: Vec<_> = layout
            .members
            .iter()
            .filter(|member| member.datacenter == replication.datacenter)
            .collect();
        let weights: u64 = here.iter().map(|member| u64::from(member.weight)).sum();
        let racks: BTreeSet<_> = here.iter().map(|member| &member.rack).collect();
        let mut carried = BTreeMap::<NodeId, u64>::new();
        for (partition, list) in lists.iter_mut().enumerate() {
            let start = (partition as u128)
                .checked_shl(128 - layout.partitions.trailing_zeros())
                .unwrap_or(0);
            let lap = dumb_walk(layout, Token(start), &replication.datacenter);
            let mut chosen: Vec<&Member> = Vec::new();
            for _ in 0..replication.n {
                let apart =
                    |other: &Member| chosen.iter().all(|member| member.machine != other.machine);
                let rack_fits = |other: &Member| {
                    let used =
                        |rack: &str| chosen.iter().filter(|member| member.rack == rack).count();
                    used(&other.rack) <= chosen.len() / racks.len()
                };
                let bound_fits = |other: &Member| {
                    let copies = u64::from(layout.partitions) * u64::from(replication.n);
                    let share = copies * u64::from(other.weight);
                    // carried < ceil(1.05 × share / weights)
                    let load = carried.get(&other.id).copied().unwrap_or(0);
                    load * 100 * weights < share * 105
                };
                let first = |fits: &dyn Fn(&Member) -> bool| {
                    lap.iter().map(|&id| member(id)).find(|&other| apart(other) && fits(other))
                };
                let next = first(&|other| rack_fits(other) && bound_fits(other))
                    .or_else(|| first(&rack_fits))
                    .or_else(|| first(&|_| true))
                    .expect("there are enough machines");
                chosen.push(next);
                *carried.entry(next.id).or_default() += 1;
            }
            list.extend(chosen.iter().map(|member| member.id));
        }
    }
    lists
}

/// Sound layouts of one or two data centers, with machines that several nodes share, racks of
/// unequal size and unequal weights.
fn layouts() -> impl Strategy<Value = Layout> {
    let nodes = prop::collection::vec((1_u16..4, 0_usize..6, 0_usize..2), 1..10);
    (nodes, 0_u32..6, 1_u8..4, 1_usize..4, any::<u64>()).prop_map(
        |(nodes, bits, n, racks, salt)| {
            let mut members = Vec::new();
            for (number, (weight, machine, place)) in (1_u64..).zip(nodes) {
                let datacenter = format!("dc{place}");
                let machine = format!("{datacenter}-m{machine}");
                let rack = format!("r{}", Token::of(machine.as_bytes()).0 as usize % racks);
                let id = salt.wrapping_add(number);
                members.push(member(id, weight, &machine, &rack, &datacenter));
            }
            let mut machines = BTreeMap::<_, BTreeSet<_>>::new();
            for member in &members {
                machines.entry(&member.datacenter).or_default().insert(&member.machine);
            }
            let replication = machines.iter().map(|(&datacenter, machines)| Replication {
                datacenter: datacenter.clone(),
                n: n.min(machines.len() as u8),
            });
            let replication = replication.collect();
            Layout { version: 1, partitions: 1 << bits, replication, members }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_table_is_what_the_plain_walk_says(layout in layouts()) {
        let ring = Ring::new(layout.clone()).expect("the layout is sound");
        for (partition, owners) in ring.partitions().zip(dumb_owners(&layout)) {
            prop_assert_eq!(ring.owners(partition), &owners[..]);
        }
    }

    #[test]
    fn every_list_is_full_and_on_distinct_machines(layout in layouts()) {
        let ring = Ring::new(layout).expect("the layout is sound");
        for partition in ring.partitions() {
            let owners = ring.owners(partition);
            prop_assert_eq!(owners.len(), ring.layout().copies());
            let machines: BTreeSet<_> = owners.iter().map(|&id| ring.machine(id)).collect();
            prop_assert_eq!(machines.len(), owners.len());
            prop_assert!(!machines.contains(&None));
        }
    }

    #[test]
    fn the_inverse_tables_agree_with_the_owners(layout in layouts()) {
        let ring = Ring::new(layout).expect("the layout is sound");
        for a in ring.members() {
            let owned: Vec<_> = ring.partitions().filter(|&one| ring.owns(a.id, one)).collect();
            prop_assert_eq!(ring.owned_by(a.id), &owned[..]);
            for b in ring.members() {
                let mut both = owned.clone();
                both.retain(|&partition| ring.owns(b.id, partition));
                prop_assert_eq!(ring.shared(a.id, b.id), both);
            }
        }
    }

    #[test]
    fn fallbacks_and_owners_are_everybody(layout in layouts()) {
        let ring = Ring::new(layout).expect("the layout is sound");
        for partition in ring.partitions() {
            let mut nodes: Vec<_> = ring.fallbacks(partition).collect();
            nodes.extend(ring.owners(partition));
            nodes.sort_unstable();
            prop_assert!(nodes.iter().eq(ring.members().iter().map(|member| &member.id)));
        }
    }
}
