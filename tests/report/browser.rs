//! A page in a real browser: Chromium without a window, cut off from every network.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// A busy machine takes its time; a browser that hangs is not waited for longer, in seconds.
const TIMEOUT_S: &str = "240";

/// The page as it stands after its script ran, written out as HTML.
pub(crate) struct Dom(pub(crate) String);

/// A row of a table on the page.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) sort: String,
    pub(crate) key: String,
    pub(crate) words: String,
}

/// Opens a file of a folder, with what stands behind the `#`.
pub(crate) fn open(folder: &Path, file: &str, fragment: &str) -> Dom {
    open_at(folder, file, fragment, 1_280)
}

/// Opens a file of a folder in a window that is so many pixels wide.
pub(crate) fn open_at(folder: &Path, file: &str, fragment: &str, width: u32) -> Dom {
    let profile = folder.join("browser");
    let output = Command::new("timeout")
        .args([TIMEOUT_S, "chromium", "--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
        .args(["--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},844"))
        .arg("--dump-dom")
        .arg(format!("file://{}{fragment}", folder.join(file).display()))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => panic!("timeout, of coreutils, is missing"),
            _ => panic!("the browser: {error}"),
        });
    let complaint = String::from_utf8_lossy(&output.stderr);
    // What `timeout` says of a program that is not there.
    assert_ne!(output.status.code(), Some(127), "chromium is missing: tests/setup.sh installs it");
    assert!(output.status.success(), "chromium ended with {}: {complaint}", output.status);
    Dom(String::from_utf8(output.stdout).expect("HTML is text"))
}

impl Dom {
    /// The tag of the element with this id, and all that follows it.
    fn from(&self, id: &str) -> &str {
        let at = self.0.find(&format!(" id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
        let begin = self.0[..at].rfind('<').expect("an attribute stands in a tag");
        &self.0[begin..]
    }

    /// The element's content as HTML. None of those that are asked for holds one of its own name.
    pub(crate) fn inside(&self, id: &str) -> &str {
        let from = self.from(id);
        let name = from[1..].split([' ', '>']).next().expect("a tag has a name");
        let begin = from.find('>').expect("a tag ends") + 1;
        let end = from.find(&format!("</{name}>")).expect("an element ends");
        &from[begin..end]
    }

    /// The element's text.
    pub(crate) fn text(&self, id: &str) -> String {
        text(self.inside(id))
    }

    /// An attribute of the element.
    pub(crate) fn attribute(&self, id: &str, name: &str) -> Option<String> {
        attribute(self.from(id), name)
    }

    /// An attribute that is a number.
    pub(crate) fn number(&self, id: &str, name: &str) -> u64 {
        let value = self.attribute(id, name).unwrap_or_else(|| panic!("{id} has no {name}"));
        value.parse().unwrap_or_else(|_| panic!("{id} has {name} = {value}"))
    }

    /// The rows of a table that say what they are of.
    pub(crate) fn rows(&self, id: &str) -> Vec<Row> {
        let rows = self.inside(id).split("<tr ").skip(1);
        let row = |row: &str| Row {
            sort: attribute(row, "data-sort").expect("a row is of a sort"),
            key: attribute(row, "data-key").expect("a row says its key"),
            words: row.rsplit("<td>").next().map(text).unwrap_or_default(),
        };
        rows.map(row).collect()
    }
}

/// An attribute of the tag with which this HTML begins.
fn attribute(html: &str, name: &str) -> Option<String> {
    let tag = &html[..html.find('>').expect("a tag ends")];
    let (_, value) = tag.split_once(&format!("{name}=\""))?;
    Some(value.split('"').next().unwrap_or_default().to_owned())
}

/// The text of some HTML.
fn text(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, rest)| rest));
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
