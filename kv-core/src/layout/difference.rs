//! The differences between two layouts, in words: for whoever must decide which of them is meant.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use super::{Layout, Member};

/// One thing in which two layouts differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key that differs, such as `partitions` or ``weight of `n2` ``.
    pub what: String,
    /// The value in the former layout; none if the key is new.
    pub was: Option<String>,
    /// The value in the present layout; none if the key is gone.
    pub is: Option<String>,
}

impl Layout {
    /// Lists what differs from this layout, the former, to `now`, the present one. The order of
    /// members and data centers is no difference.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut found = Found(Vec::new());
        found.compare("layout version", &self.version, &now.version);
        found.compare("partitions", &self.partitions, &now.partitions);
        for was in &self.replication {
            let is = now.replication.iter().find(|is| is.datacenter == was.datacenter);
            let what = format!("n of data center `{}`", was.datacenter);
            found.push(what, Some(was.n.to_string()), is.map(|is| is.n.to_string()));
        }
        for is in &now.replication {
            if !self.replication.iter().any(|was| was.datacenter == is.datacenter) {
                let what = format!("n of data center `{}`", is.datacenter);
                found.push(what, None, Some(is.n.to_string()));
            }
        }
        for was in &self.members {
            match now.successor(was, self) {
                Some(is) => found.compare_members(was, is),
                None => found.push(described(was), Some(was.id.to_string()), None),
            }
        }
        for is in &now.members {
            if self.successor(is, now).is_none() {
                found.push(described(is), None, Some(is.id.to_string()));
            }
        }
        found.0
    }

    /// The member of this layout that a member of another one has become: the one with its id, or
    /// else the one with its name, unless the other layout has that one's id too.
    fn successor(&self, of: &Member, other: &Self) -> Option<&Member> {
        let same_id = self.members.iter().find(|member| member.id == of.id);
        let is_taken =
            |member: &Member| other.members.iter().any(|another| another.id == member.id);
        let same_name = || {
            let mut members = self.members.iter();
            members.find(|member| member.name == of.name && !is_taken(member))
        };
        same_id.or_else(same_name)
    }
}

fn described(member: &Member) -> String {
    format!("member `{}`", member.name)
}

struct Found(Vec<Difference>);

impl Found {
    fn push(&mut self, what: impl Into<String>, was: Option<String>, is: Option<String>) {
        if was != is {
            self.0.push(Difference { what: what.into(), was, is });
        }
    }

    fn compare(&mut self, what: impl Into<String>, was: &impl ToString, is: &impl ToString) {
        self.push(what, Some(was.to_string()), Some(is.to_string()));
    }

    fn compare_members(&mut self, was: &Member, is: &Member) {
        let Member { id, name, weight, machine, rack, datacenter } = was;
        let mut field = |key: &str, was: &dyn Display, is: &dyn Display| {
            self.compare(format!("{key} of `{name}`"), &was, &is);
        };
        field("id", id, &is.id);
        field("name", name, &is.name);
        field("weight", weight, &is.weight);
        field("machine", machine, &is.machine);
        field("rack", rack, &is.rack);
        field("datacenter", datacenter, &is.datacenter);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::layout::Replication;
    use crate::types::NodeId;

    fn three_nodes() -> Layout {
        Layout::single_datacenter(16, 3, (1..=3).map(|id| (NodeId(id), format!("n{id}"))))
    }

    /// The differences after a change, as `what: was → is`.
    fn after(change: impl FnOnce(&mut Layout)) -> Vec<String> {
        let mut now = three_nodes();
        change(&mut now);
        let shown = |value: Option<String>| value.unwrap_or_else(|| "nothing".into());
        let line = |Difference { what, was, is }| format!("{what}: {} → {}", shown(was), shown(is));
        three_nodes().differences(&now).into_iter().map(line).collect()
    }

    #[test]
    fn equal_layouts_do_not_differ_whatever_their_order() {
        assert_eq!(after(|layout| layout.members.reverse()), Vec::<String>::new());
    }

    #[test]
    fn every_field_counts() {
        let found = after(|layout| {
            layout.version = 2;
            layout.partitions = 32;
            layout.replication[0].n = 2;
            layout.members[0].name = "one".into();
            layout.members[1].weight = 5;
            layout.members[1].machine = "m".into();
            layout.members[1].rack = "r".into();
            layout.members[1].datacenter = "dc2".into();
            layout.members[2].id = NodeId(9);
        });
        let expected = [
            "layout version: 1 → 2",
            "partitions: 16 → 32",
            "n of data center `dc1`: 3 → 2",
            "name of `n1`: n1 → one",
            "weight of `n2`: 1 → 5",
            "machine of `n2`: n2 → m",
            "rack of `n2`: n2 → r",
            "datacenter of `n2`: dc1 → dc2",
            "id of `n3`: 0000000000000003 → 0000000000000009",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn members_and_data_centers_come_and_go() {
        let found = after(|layout| {
            let Some(member) = layout.members.pop() else { panic!("there are three") };
            layout.members.push(Member { id: NodeId(4), name: "n4".into(), ..member });
            layout.replication = vec![Replication { datacenter: "dc2".into(), n: 3 }];
        });
        let expected = [
            "n of data center `dc1`: 3 → nothing",
            "n of data center `dc2`: nothing → 3",
            "member `n3`: 0000000000000003 → nothing",
            "member `n4`: nothing → 0000000000000004",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn two_members_that_change_names_are_told_apart_by_their_ids() {
        let found = after(|layout| {
            layout.members[0].name = "n2".into();
            layout.members[1].name = "n1".into();
        });
        assert_eq!(found, ["name of `n1`: n1 → n2", "name of `n2`: n2 → n1"]);
    }
}
