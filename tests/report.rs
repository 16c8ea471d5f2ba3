//! `kv-sim report` from the outside: what it takes and refuses, what it writes, and that a browser
//! shows the page.

#[path = "report/browser.rs"]
mod browser;
#[path = "command_line/folder.rs"]
mod folder;

use std::fs;

use serde_json::Value;

use browser::{Dom, open, open_at};
use folder::{Ended, Folder, json};

/// It is looked at while it cannot have come to rest: a node has lost everything just before. There are siblings, a fault of each sort that is
/// drawn in a way of its own, and messages of most kinds.
const RESTLESS: &str = r#"
title = "a cluster that is given no time to heal"
seed = 3
nodes = 4
quorum = { n = 3, r = 2, w = 2 }
network = { delay_ms_min = 1, delay_ms_mean = 5, loss = 0.02 }

[[workload]]
kind = "put-get"
clients = 3
operations = 300
keys = 4

[[fault]]
kind = "partition"
groups = [["n1", "n2"], ["n3", "n4"]]
from_ms = 100
until_ms = 1500

[[fault]]
kind = "wipe"
nodes = ["n4"]
from_ms = 700
until_ms = 1600

[[fault]]
kind = "clock-drift"
nodes = ["n2"]
drift_ppm = 50000
from_ms = 200
until_ms = 900

[expect]
checks = ["durability", "convergence"]
converged_within_ms = 1
"#;

/// Nothing fails, and the title is not to be trusted.
const HOSTILE: &str = "title = \"</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>\"\n\
                       nodes = 3\n[[workload]]\nkind = \"put-get\"\nclients = 1\noperations = 5\n\
                       key_prefix = \"<b>&'\"\n[expect]\nchecks = [\"durability\"]\n";

/// What lies in a folder beside `scenarios`.
fn files(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(&folder.0).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name().display().to_string());
    let mut names: Vec<_> = names.filter(|name| name != "scenarios").collect();
    names.sort();
    names
}

fn table<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report[name]["rows"].as_array().expect("rows")
}

#[test]
fn a_saved_failure_and_its_scenario_give_the_same_page() {
    let folder = Folder::with("report-both", &[("restless.toml", RESTLESS)]);
    let ended = folder.kv_sim(&["--scenario", "restless", "--seed", "9", "--keep", "kept"]);
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    let ended = folder.kv_sim(&["report", "kept/restless-9.json", "-o", "saved.html"]);
    assert_eq!((ended.code, &*ended.out), (Some(0), ""), "{}", ended.error);
    assert_eq!(ended.error, "written: saved.html\n");
    let from_scenario = ["report", "restless.toml", "--seed", "9", "-o", "scenario.html"];
    assert_eq!(folder.kv_sim(&from_scenario).code, Some(0));
    let (saved, scenario) = (folder.read("saved.html"), folder.read("scenario.html"));
    assert!(saved.len() <= 2_000_000, "{}", saved.len());
    // They differ in where the scenario came from, and in the command that makes the page.
    let tables = |page: &str| {
        let from = page.find("\"violations\":").expect("the data is there");
        let until = page.find(",\"scenario_text\":").expect("the data is there");
        page[from..until].to_owned()
    };
    assert_eq!(tables(&saved), tables(&scenario));
    assert_eq!(files(&folder), ["kept", "saved.html", "scenario.html"], "nothing else is left");
}

#[test]
fn the_same_report_can_be_had_as_text_and_as_json() {
    let folder = Folder::with("report-forms", &[("restless.toml", RESTLESS)]);
    let text = folder.kv_sim(&["report", "restless.toml", "--text"]);
    assert_eq!(text.code, Some(0), "{}", text.error);
    assert!(text.out.contains("convergence is violated at "), "{}", text.out);
    assert!(text.out.contains("partition begins: n1, n2 | n3, n4"), "{}", text.out);
    assert!(text.out.ends_with("FAILED\n"), "{}", text.out);
    assert!(!text.out.contains('\u{1b}'), "no colours where nobody sees them");
    let to_file = folder.kv_sim(&["report", "restless.toml", "--text", "-o", "report.txt"]);
    assert_eq!((to_file.code, &*to_file.out), (Some(0), ""));
    let said = |text: &str| text.split("To see this again").next().map(ToOwned::to_owned);
    assert_eq!(said(&folder.read("report.txt")), said(&text.out));

    let ended = folder.kv_sim(&["report", "restless.toml", "--json", "--key", "k3"]);
    let report = json(&ended.out);
    assert_eq!((&report["format"], &report["verdict"]), (&1.into(), &"fail".into()));
    assert_eq!(report["violations"][0]["check"], "convergence");
    assert!(!table(&report, "messages").is_empty() && !table(&report, "operations").is_empty());
    let faults = report["faults"].as_array().expect("a list");
    let mut kinds: Vec<_> = faults.iter().filter_map(|fault| fault["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["clock-drift", "partition", "wipe"]);
    assert_eq!(report["outages"][0]["node"], 3);
    let drifted = &report["clocks"][1]["points"].as_array().expect("points")[..];
    let ahead = |at: usize| drifted[at][1].as_i64().expect("a number");
    assert!(ahead(drifted.len() - 1) - ahead(0) > 30_000, "5 % of 0.7 s: {drifted:?}");
}

#[test]
fn a_report_of_a_run_that_passed_is_no_error() {
    let folder = Folder::with("report-passed", &[("hostile.toml", HOSTILE)]);
    let ended = folder.kv_sim(&["report", "hostile.toml", "-o", "-"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.starts_with("<!doctype html>"), "{}", ended.out);
    assert!(ended.out.contains("data-verdict=\"pass\""));
}

#[test]
fn bad_input_is_refused_with_the_reason_and_leaves_nothing_behind() {
    let folder = Folder::with("report-refused", &[("restless.toml", RESTLESS)]);
    fs::write(folder.0.join("empty.json"), "").expect("a new file");
    fs::write(folder.0.join("half.json"), "{\"format\": 1, \"scenario\": \"res")
        .expect("a new file");
    fs::write(folder.0.join("later.json"), "{\"format\": 99}").expect("a new file");
    let binary = [0xff, 0xfe, 0, 7];
    fs::write(folder.0.join("binary.json"), binary).expect("a new file");
    fs::create_dir(folder.0.join("folder")).expect("a new folder");
    let before = files(&folder);
    let cases: &[(&[&str], &str)] = &[
        (&["missing.json", "-o", "x.html"], "missing.json cannot be read"),
        (&["missing.toml", "-o", "x.html"], "missing"),
        (&["empty.json", "-o", "x.html"], "empty.json is no saved failure, or a corrupt one"),
        (&["half.json", "-o", "x.html"], "half.json is no saved failure, or a corrupt one"),
        (&["binary.json", "-o", "x.html"], "binary.json cannot be read"),
        (&["later.json", "-o", "x.html"], "has format 99, and this version reads format 1"),
        (&["folder", "-o", "x.html"], "folder cannot be read"),
        (&["restless.toml"], "--output"),
        (&["restless.toml", "--text", "--json"], "cannot be used with"),
        (&["restless.toml", "-o", "x.html", "--seed", "seven"], "--seed"),
        (&["half.json", "-o", "x.html", "--seed", "7"], "leave --seed out"),
        (&["restless.toml", "-o", "no/such/x.html"], "no/such/x.html cannot be written"),
        (&["restless.toml", "-o", "folder"], "folder cannot be written"),
        (&["restless.toml", "-o", ""], "a value is required"),
    ];
    for (arguments, reason) in cases {
        let ended = folder.kv_sim(&[&["report"], *arguments].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.error);
        assert!(ended.error.contains(reason), "{arguments:?}: {}", ended.error);
        assert_eq!(files(&folder), before, "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn where_there_is_no_room_for_the_page_there_is_no_part_of_it_either() {
    let folder = Folder::with("report-full", &[("restless.toml", RESTLESS)]);
    fs::write(folder.0.join("page.html"), "an earlier page").expect("a new file");
    // Files of this process may have 4 KiB. Whoever ignores the signal is told by an error.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" report restless.toml -o page.html";
    let program = env!("CARGO_BIN_EXE_kv-sim");
    let output = std::process::Command::new("sh")
        .args(["-c", script, program])
        .current_dir(&folder.0)
        .output()
        .expect("a shell");
    let ended = Ended::from(output);
    assert_eq!(ended.code, Some(2), "{}", ended.error);
    assert!(ended.error.contains("page.html cannot be written"), "{}", ended.error);
    assert_eq!(files(&folder), ["page.html"]);
    assert_eq!(folder.read("page.html"), "an earlier page");
    let full = folder.kv_sim(&["report", "restless.toml", "-o", "/dev/full"]);
    assert_eq!(full.code, Some(2), "{}", full.error);
    assert!(full.error.contains("/dev/full cannot be written"), "{}", full.error);
}

/// The page of a scenario, and its data.
fn page(test: &str, scenario: &str) -> (Folder, Value) {
    let folder = Folder::with(test, &[("it.toml", scenario)]);
    let ended = folder.kv_sim(&["report", "it.toml", "-o", "page.html"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let data = json(&folder.kv_sim(&["report", "it.toml", "--json"]).out);
    (folder, data)
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// A page that was drawn without an error.
fn drawn(folder: &Folder, fragment: &str) -> Dom {
    let dom = open(&folder.0, "page.html", fragment);
    assert_eq!(dom.attribute("errors", "hidden").as_deref(), Some(""), "{}", dom.text("errors"));
    assert_eq!(dom.text("errors"), "");
    assert!(dom.0.contains("data-ready=\"true\""), "the script came to its end");
    dom
}

#[test]
fn a_browser_shows_the_failure_and_what_is_chosen_by_key_kind_node_and_time() {
    let (folder, data) = page("report-browser", RESTLESS);

    let dom = drawn(&folder, "");
    assert_eq!(dom.text("badge"), "FAILED");
    assert!(dom.0.contains("data-check=\"convergence\""), "the failure is marked");
    let violated = data["violations"][0]["at_us"].as_u64().expect("a time");
    assert!(dom.text("now").ends_with(" s"), "{}", dom.text("now"));
    assert!(dom.0.contains(&format!("convergence is violated at {} s", seconds(violated))));
    for picture in ["overview", "lanes", "clocks"] {
        assert!(dom.inside(picture).contains("<svg"), "{picture} is drawn");
    }

    // A moment in which a message about a key that is followed arrives.
    let kinds = data["kinds"].as_array().expect("a list");
    let merge = kinds.iter().position(|kind| kind == "merge").expect("there are merges");
    let is_merge = |row: &&Value| row[4] == merge && row[5] == 0 && row[7].is_null();
    let row = table(&data, "messages").iter().find(is_merge).expect("one about the first key");
    let key = data["keys"][0]["name"].as_str().expect("a name");
    let at = seconds(row[1].as_u64().expect("a time"));
    let [from, to] = [2, 3].map(|column| {
        let node = row[column].as_u64().expect("a node") as usize;
        data["nodes"][node].as_str().expect("a name").to_owned()
    });

    let any = drawn(&folder, &format!("#key=any&at={at}&span=0.2"));
    let one = drawn(&folder, &format!("#key={key}&at={at}&span=0.2"));
    assert_eq!(one.text("now"), format!("{at} s"));
    let messages = |dom: &Dom| dom.number("summary", "data-messages");
    assert!(0 < messages(&one) && messages(&one) < messages(&any), "the key filters");
    assert!(one.number("summary", "data-operations") < any.number("summary", "data-operations"));
    let rows = one.rows("list");
    assert!(rows.iter().all(|row| row.key.is_empty() || row.key == key), "{rows:?}");
    let said = format!("merge from {from} to {to}");
    assert!(one.inside("list").contains(&said), "{said}");

    let merges = drawn(&folder, &format!("#key={key}&kind=merge&node={to}&at={at}&span=0.2"));
    assert!(0 < messages(&merges) && messages(&merges) < messages(&one), "kind and node filter");
    let rows = merges.rows("list");
    let of_messages = rows.iter().filter(|row| row.sort == "message");
    assert_eq!(of_messages.clone().count() as u64, messages(&merges));
    for row in of_messages {
        assert!(row.words.starts_with("merge from") && row.words.contains(&to), "{row:?}");
    }

    // Another moment, other copies.
    let changes = table(&data, "copies").iter().filter(|row| row[2] == 0);
    let last = changes.clone().next_back().expect("copies changed")[0].as_u64().expect("a time");
    let first = changes.clone().next().expect("copies changed")[0].as_u64().expect("a time");
    assert!(first < last);
    let copies = |us: u64| {
        let dom = drawn(&folder, &format!("#key={key}&at={}", seconds(us)));
        let heading = format!("Where copies of {key} stand at {} s", seconds(us));
        assert_eq!(dom.text("copies-heading"), heading);
        dom.inside("copies").to_owned()
    };
    let (before, after) = (copies(first - 1), copies(last));
    assert!(!before.contains("class=\"chip"), "{before}");
    assert!(after.contains("class=\"chip"), "{after}");
}

/// What a person does with the page: moves through time, chooses a key, goes on to the next thing.
/// What the page shows after each step is noted in it.
const HANDS: &str = "<script>
  const of = (id) => document.getElementById(id);
  const does = (id, value, event) => { of(id).value = value; of(id).dispatchEvent(new Event(event)); };
  const note = (step) => of('errors').insertAdjacentHTML('afterend',
    `<p id='${step}' data-address='${location.hash}' data-now='${of('now').textContent}'`
    + ` data-messages='${of('summary').dataset.messages}'></p>`);
  does('at', 2500000, 'input'); does('span', '0.2', 'change'); of('reset').click(); note('moved');
  does('key', '0', 'change'); note('chosen');
  of('next').click(); note('went-on'); of('previous').click(); of('previous').click(); note('went-back');
  document.querySelector('path.message').dispatchEvent(new Event('click'));
</script></body>";

#[test]
fn what_a_person_chooses_on_the_page_is_shown_and_stands_in_its_address() {
    let (folder, data) = page("report-hands", RESTLESS);
    let with_hands = folder.read("page.html").replace("</body>", HANDS);
    fs::write(folder.0.join("page.html"), with_hands).expect("the file can be written");
    let dom = drawn(&folder, "");
    let said = |step: &str, what: &str| dom.attribute(step, what).expect("each step is noted");
    assert_eq!(said("moved", "data-now"), "2.500000 s");
    assert_eq!(said("moved", "data-address"), "#key=any&amp;at=2.500000&amp;span=0.2");
    let key = data["keys"][0]["name"].as_str().expect("a name");
    let address = format!("#key={key}&amp;at=2.500000&amp;span=0.2");
    assert_eq!(said("chosen", "data-address"), address);
    assert!(dom.number("chosen", "data-messages") < dom.number("moved", "data-messages"));
    // Times have the same number of digits here, so they can be compared as text.
    assert!(said("went-on", "data-now") > said("moved", "data-now"));
    assert!(said("went-back", "data-now") < said("went-on", "data-now"));
    assert!(dom.text("detail").contains(&format!("about {key}")), "{}", dom.text("detail"));
}

/// How a page looks in a frame: how wide it and all that is in it are, how small its smallest text is, and
/// whose that is. What scrolls by itself may be wider than the page.
const MEASURE: &str = "<script>
  for (const details of document.querySelectorAll('details')) details.open = true;
  const scrolls = (element) => element !== null && (element.classList.contains('scroll') || scrolls(element.parentElement));
  let [right, widest, least, whose] = [0, '', Infinity, ''];
  for (const element of document.querySelectorAll('body *')) {
    const frame = element.getBoundingClientRect();
    if (frame.width === 0 || frame.height === 0) continue;
    const name = `${element.tagName}.${element.getAttribute('class') || element.id}`;
    const isCut = element.closest('svg') !== null;
    if (!isCut && !scrolls(element.parentElement) && frame.right > right) [right, widest] = [frame.right, name];
    if (![...element.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
    const picture = element.closest('svg');
    const scale = picture ? picture.getBoundingClientRect().width / picture.viewBox.baseVal.width : 1;
    const size = Number.parseFloat(getComputedStyle(element).fontSize) * scale;
    if (size < least) [least, whose] = [size, name];
  }
  document.getElementById('errors').insertAdjacentHTML('afterend',
    `<p id='measured' data-width='${innerWidth}' data-scroll='${document.documentElement.scrollWidth}' data-right='${Math.ceil(right)}'`
    + ` data-widest='${widest}' data-least='${Math.floor(least * 100)}' data-whose='${whose}'></p>`);
</script></body>";

#[test]
fn on_a_narrow_screen_nothing_scrolls_sideways_and_all_text_can_be_read() {
    let (folder, _) = page("report-narrow", RESTLESS);
    let measured = folder.read("page.html").replace("</body>", MEASURE);
    fs::write(folder.0.join("page.html"), measured).expect("the file can be written");
    // A window of a browser has a least width. A frame in it has none.
    for width in [390, 1_280] {
        let dom = framed(&folder, width);
        let said = |what: &str| dom.attribute("measured", what).expect("it was measured");
        assert_eq!(dom.number("measured", "data-width"), u64::from(width));
        let (scroll, right) =
            (dom.number("measured", "data-scroll"), dom.number("measured", "data-right"));
        assert!(
            scroll <= width.into(),
            "{width}: the page is {scroll} wide: {}",
            said("data-widest")
        );
        assert!(right <= width.into(), "{width}: {} reaches to {right}", said("data-widest"));
        let least = dom.number("measured", "data-least");
        assert!(least >= 1_200, "{width}: the text of {} has {least} / 100 px", said("data-whose"));
    }
}

/// The page as it is drawn in a frame of this width.
fn framed(folder: &Folder, width: u32) -> Dom {
    let page = folder.read("page.html").replace('&', "&amp;").replace('"', "&quot;");
    let frame = format!(
        "<!doctype html><body><iframe width=\"{width}\" height=\"800\" style=\"border: 0\" srcdoc=\"{page}\"></iframe>\
         <script>addEventListener('load', () => {{ const inner = document.querySelector('iframe').contentDocument;\
         document.documentElement.innerHTML = inner.documentElement.innerHTML; }});</script></body>"
    );
    fs::write(folder.0.join("frame.html"), frame).expect("a new file");
    open_at(&folder.0, "frame.html", "", 1_400)
}

#[test]
fn a_page_opens_at_the_failure_and_leads_to_what_led_there() {
    let (folder, data) = page("report-opens", RESTLESS);
    let dom = drawn(&folder, "");
    let opens = |which: &str| data["opens"][which].as_u64().expect("a time");
    assert!(opens("from_us") < opens("until_us"));
    assert_eq!(opens("until_us"), data["violations"][0]["at_us"].as_u64().expect("a time"));
    assert_eq!(dom.text("now"), format!("{} s", seconds(opens("at_us"))));
    // The window has a margin on both sides.
    let summary = dom.text("summary");
    let until = summary.split(" s to ").nth(1).and_then(|rest| rest.split(' ').next());
    let until: f64 = until.and_then(|until| until.parse().ok()).expect("a window is named");
    let end = opens("until_us") as f64 / 1e6;
    assert!((end..end + 0.2 * end).contains(&until), "{summary}");
    assert!(dom.inside("violations").contains("has not copied partition"), "the story is there");
    for legend in ["legend", "overview-legend", "story-legend", "clock-legend"] {
        assert!(dom.inside(legend).contains("<i style="), "{legend} explains colours");
    }
    assert!(dom.inside("cluster").contains("N=3 copies of a key"));
    assert!(dom.inside("words").contains("sibling"));
}

#[test]
fn a_browser_takes_no_text_for_markup_and_survives_an_address_that_makes_no_sense() {
    let (folder, _) = page("report-hostile", HOSTILE);
    let dom = drawn(&folder, "#key=%00&kind=nothing&node=n99&at=yesterday&span=-1&%%%=&&");
    assert!(dom.0.contains("<title>it, seed 1</title>"), "no script of the title ran");
    assert!(!dom.0.contains("<img"));
    assert_eq!(dom.text("badge"), "PASSED");
    assert!(dom.text("violations").contains("No promise was broken"));
}
