use super::*;

fn settings(text: &str) -> Settings {
    Settings::parse("kv.toml", text, &Overrides::default())
        .unwrap_or_else(|error| panic!("{}", error.render(false)))
}

/// Renders the error of the default file after a replacement in it.
fn complaint(from: &str, to: &str) -> String {
    assert!(DEFAULT.contains(from), "the default file holds {from:?}");
    let text = DEFAULT.replacen(from, to, 1);
    let error = Settings::parse("kv.toml", &text, &Overrides::default());
    error.expect_err("the file is broken").render(false)
}

#[test]
fn the_default_file_says_what_the_defaults_are() {
    let settings = settings(DEFAULT);
    assert_eq!(settings.core, Config::default());
    assert_eq!(settings.limits, Limits::default());
    let bare = "[cluster]\nname = \"kv\"\n[self]\nname = \"n1\"\ndata_dir = \"data/n1\"\n\
                redis = \"127.0.0.1:7001\"\npeer = \"127.0.0.1:7101\"\nhttp = \"127.0.0.1:7201\"\n\
                [[member]]\nname = \"n1\"\naddress = \"127.0.0.1:7101\"\n\
                [[member]]\nname = \"n2\"\naddress = \"127.0.0.1:7102\"\n\
                [[member]]\nname = \"n3\"\naddress = \"127.0.0.1:7103\"\n";
    let bare = Settings::parse("bare.toml", bare, &Overrides::default()).expect("all is there");
    assert_eq!(format!("{bare:?}"), format!("{settings:?}"));
}

#[test]
fn the_default_file_names_every_key_with_its_range() {
    for knob in Config::KNOBS.iter().chain(Limits::KNOBS) {
        let line = format!("\n{} = {}\n", knob.name, knob.default);
        let (before, _) = DEFAULT.split_once(&line).unwrap_or_else(|| panic!("no {line:?}"));
        let about: Vec<_> = before.lines().rev().take_while(|line| line.starts_with('#')).collect();
        let range = format!("{}..={}", knob.min, knob.max);
        assert!(about.iter().any(|line| line.contains(&range)), "{}: {range}", knob.name);
    }
}

#[test]
fn a_founder_has_the_same_id_on_every_node() {
    assert_eq!(founder_id("kv", "n1").to_string(), "42ff02024c3767bb");
    assert_ne!(founder_id("kv", "n1"), founder_id("kvn", "1"));
    assert_eq!(settings(DEFAULT).node, founder_id("kv", "n1"));
}

#[test]
fn a_member_may_have_an_id_of_its_own() {
    let given = "name = \"n2\"\nid = \"00000000000000ff\"\n";
    let text = DEFAULT.replacen("name = \"n2\"\n", given, 1);
    assert!(settings(&text).ring.member(NodeId(255)).is_some());
}

#[test]
fn overrides_win_over_the_file() {
    let overrides = Overrides {
        name: Some("n2".into()),
        redis: Some(([127, 0, 0, 1], 0).into()),
        durability: Some(DurabilityWord::Interval),
        ..Overrides::default()
    };
    let settings = Settings::parse("kv.toml", DEFAULT, &overrides).expect("it is sound");
    assert_eq!(settings.node, founder_id("kv", "n2"));
    assert_eq!(settings.listen.redis.port(), 0);
    assert_eq!(settings.listen.http.port(), 7201);
    let every = Duration::from_secs(1);
    assert_eq!(settings.durability, Durability::Interval { every });
}

#[test]
fn fewer_copies_need_fewer_answers_unless_it_is_said_otherwise() {
    let text = DEFAULT.replacen("n = 3", "n = 1", 1);
    let text = text.replacen("read_quorum = 2", "", 1).replacen("write_quorum = 2", "", 1);
    assert_eq!(settings(&text).core.write_quorum, 1);
    insta::assert_snapshot!(complaint("n = 3", "n = 1"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
    insta::assert_snapshot!(complaint("timeout_ms = 1000", "timeout = 1000"));
    insta::assert_snapshot!(complaint("pipeline = 1024", "pipelines = 1024"));
    insta::assert_snapshot!(complaint("[limits]", "[limit]"));
}

#[test]
fn a_number_out_of_range_is_refused_with_its_range() {
    insta::assert_snapshot!(complaint("gossip_fanout = 3", "gossip_fanout = 0"));
}

#[test]
fn a_node_that_is_no_member_is_refused() {
    insta::assert_snapshot!(complaint("name = \"n1\"\n\n#", "name = \"n9\"\n\n#"));
}

#[test]
fn every_problem_of_a_file_is_shown() {
    let text = DEFAULT
        .replacen("redis = \"127.0.0.1:7001\"", "redis = \"localhost\"", 1)
        .replacen("stop_ms = 5000", "stop_ms = -1", 1)
        .replacen("mode = \"sloppy\"", "mode = \"slopy\"", 1);
    let error = Settings::parse("kv.toml", &text, &Overrides::default());
    insta::assert_snapshot!(error.expect_err("three things are wrong").render(false));
}

#[test]
fn a_layout_that_makes_no_sense_is_refused_at_its_key() {
    insta::assert_snapshot!(complaint("n = 3", "n = 4"));
    insta::assert_snapshot!(complaint("name = \"n2\"", "name = \"n1\""));
    insta::assert_snapshot!(complaint("127.0.0.1:7102", "n2"));
    insta::assert_snapshot!(complaint("partitions = 4096", "partitions = 1000"));
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    insta::assert_snapshot!(complaint("n = 3", "n = "));
}
