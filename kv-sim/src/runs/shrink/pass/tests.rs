//! Smaller scenarios: each kind of step takes out or makes less just what it is for.

use super::*;

fn table(text: &str) -> Table {
    toml::from_str(text).expect("it is TOML")
}

/// The candidates of a pass, if none of them is taken.
fn candidates(pass: Pass, text: &str) -> Vec<Table> {
    let table = table(text);
    let mut walk = Walk::new(pass);
    let mut all = Vec::new();
    while let Some(candidate) = walk.candidate(&table, &[]) {
        all.push(candidate);
        walk.left();
    }
    all
}

/// The table that is left of one if each candidate is taken for which `fails` says so, and the number
/// of attempts.
fn shrunk(pass: Pass, text: &str, fails: impl Fn(&Table) -> bool) -> (Table, usize) {
    let (mut table, mut walk, mut attempts) = (table(text), Walk::new(pass), 0);
    while let Some(candidate) = walk.candidate(&table, &[]) {
        attempts += 1;
        if fails(&candidate) {
            table = candidate;
            walk.took();
        } else {
            walk.left();
        }
    }
    (table, attempts)
}

#[test]
fn elements_go_all_at_once_and_then_in_halves_and_then_alone() {
    let faults = candidates(Pass::Elements("fault"), "fault = [{ a = 1 }, { a = 2 }, { a = 3 }]");
    let left: Vec<_> = faults
        .iter()
        .map(|table| match table.get("fault") {
            None => Vec::new(),
            Some(left) => {
                let left = left.as_array().expect("a list").iter();
                left.map(|fault| fault["a"].as_integer().expect("a number")).collect()
            }
        })
        .collect();
    assert_eq!(left, [vec![], vec![3], vec![1, 2], vec![2, 3], vec![1, 3], vec![1, 2]]);
}

#[test]
fn of_many_faults_the_one_that_matters_is_found_in_few_attempts() {
    let faults: Vec<_> = (0..200).map(|number| format!("{{ a = {number} }}")).collect();
    let text = format!("fault = [{}]", faults.join(", "));
    let matters = |table: &Table| {
        let faults = table.get("fault").and_then(Value::as_array);
        faults.is_some_and(|faults| faults.iter().any(|fault| fault["a"].as_integer() == Some(137)))
    };
    let (left, attempts) = shrunk(Pass::Elements("fault"), &text, matters);
    assert_eq!(left, table("fault = [{ a = 137 }]"));
    assert!(attempts < 30, "{attempts} attempts");
}

#[test]
fn the_least_number_of_operations_is_found_in_few_attempts() {
    let operations = |table: &Table| table["workload"][0]["operations"].as_integer();
    let (left, attempts) =
        shrunk(Pass::Operations, "workload = [{ operations = 20_000 }]", |table| {
            operations(table) >= Some(1_713)
        });
    assert_eq!(operations(&left), Some(1_713));
    assert!(attempts < 30, "{attempts} attempts");
}

#[test]
fn a_node_goes_with_its_name() {
    let text = "nodes = 3\n[[fault]]\ngroups = [[\"n1\", \"n3\"], [\"n2\"]]";
    let is_of_two = |table: &Table| table["nodes"].as_integer() == Some(2);
    let of_two: Vec<_> = candidates(Pass::Nodes, text).into_iter().filter(is_of_two).collect();
    // Whoever is left has the number of its place.
    let without = |groups: &str| table(&format!("nodes = 2\n[[fault]]\ngroups = {groups}"));
    let [first, second, third] =
        ["[[\"n2\"], [\"n1\"]]", "[[\"n1\", \"n2\"], []]", "[[\"n1\"], [\"n2\"]]"];
    assert_eq!(of_two[1..], [first, second, third].map(without));
    assert_eq!(of_two[0], without(third), "the second of two halves");
}

#[test]
fn nodes_are_called_by_their_numbers_wherever_they_are_named() {
    let text = "nodes = [{ name = \"n2\" }, { name = \"x\" }]\n\
                decision = [{ at = \"message n2 x merge 0 loss\" }]";
    let expected = "nodes = 2\ndecision = [{ at = \"message n1 n2 merge 0 loss\" }]";
    assert_eq!(candidates(Pass::Names, text), [table(expected)]);
    let text = "nodes = [{ name = \"a\", rack = \"r2\" }]";
    let expected = "nodes = [{ name = \"n1\", rack = \"r2\" }]";
    assert_eq!(candidates(Pass::Names, text), [table(expected)]);
}

#[test]
fn numbers_become_less_and_never_more() {
    let smaller = candidates(Pass::Numbers, "seed = 9\n[node]\na = 8\nb = -4");
    let numbers: Vec<_> = smaller
        .iter()
        .map(|table| ["a", "b"].map(|key| table["node"][key].as_integer().expect("a number")))
        .collect();
    let expected = [[0, -4], [1, -4], [4, -4], [6, -4], [7, -4], [8, 0], [8, -1], [8, -2], [8, -3]];
    assert_eq!(numbers, expected);
    assert!(smaller.iter().all(|table| table["seed"].as_integer() == Some(9)));
}

#[test]
fn keys_go_but_for_those_that_say_what_is_shown() {
    let text = "title = \"t\"\nseed = 1\nnodes = 3\nabout = \"x\"\n[node]\na = 1\n[expect]\nb = 1";
    let left: Vec<_> = candidates(Pass::Keys, text);
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.iter().all(|table| table.contains_key("expect") && table.contains_key("title")));
}

#[test]
fn what_went_wrong_by_chance_is_said_message_by_message() {
    let text = "network = { loss = 0.5, delay_ms_min = 1.0 }\n[[fault]]\nkind = \"loss\"";
    let misfortunes = [("message n1 n2 merge 00 0 loss".to_owned(), 1)];
    let pinned = Walk::new(Pass::PinMisfortunes).candidate(&table(text), &misfortunes);
    let pinned = pinned.expect("there is chance in it");
    assert_eq!(pinned["decision"][0]["value"].as_integer(), Some(1));
    assert_eq!(pinned["network"].as_table().map(Table::len), Some(1));
    assert_eq!(Walk::new(Pass::PinMisfortunes).candidate(&pinned, &misfortunes), None);
}
