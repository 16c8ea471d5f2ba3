//! Smaller scenarios: each kind of step takes out or makes less just what it is for.

use super::*;

fn table(text: &str) -> Table {
    toml::from_str(text).expect("it is TOML")
}

fn candidates(pass: Pass, text: &str) -> Vec<Table> {
    let table = table(text);
    (0..).map_while(|number| pass.candidate(&table, &[], number)).collect()
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
fn a_node_goes_with_its_name() {
    let text = "nodes = 3\n[[fault]]\ngroups = [[\"n1\", \"n3\"], [\"n2\"]]";
    let expected = "nodes = 2\n[[fault]]\ngroups = [[\"n1\"], [\"n2\"]]";
    assert_eq!(candidates(Pass::Nodes, text), [table(expected)]);
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
    let numbers = |key: &str| -> Vec<_> {
        smaller.iter().map(|table| table["node"][key].as_integer().expect("a number")).collect()
    };
    assert_eq!(numbers("a")[..6], [0, 1, 1, 4, 6, 7]);
    assert!(numbers("b").iter().all(|number| number.abs() <= 4));
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
    let pinned = Pass::PinMisfortunes.candidate(&table(text), &misfortunes, 0);
    let pinned = pinned.expect("there is chance in it");
    assert_eq!(pinned["decision"][0]["value"].as_integer(), Some(1));
    assert_eq!(pinned["network"].as_table().map(Table::len), Some(1));
    assert_eq!(Pass::PinMisfortunes.candidate(&pinned, &misfortunes, 0), None);
}
