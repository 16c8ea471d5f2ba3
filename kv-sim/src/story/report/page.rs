//! A report as one page that needs nothing else: style, script and data are in it, and it loads
//! nothing from anywhere.

use super::Report;
use crate::story::result::Verdict;

/// The most bytes that a page has.
pub const PAGE_BYTES_MAX: usize = 2_000_000;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("page/data.js"),
    include_str!("page/pictures.js"),
    include_str!("page/words.js"),
    "})();\n",
);

impl Report<'_> {
    /// Writes the page, of at most [`PAGE_BYTES_MAX`] bytes. The facts that matter least are left
    /// out where there are too many.
    ///
    /// # Errors
    /// [`serde_json::Error`], if the data cannot be written as JSON.
    pub fn page(&self) -> Result<String, serde_json::Error> {
        let mut report = self.clone();
        loop {
            let page = report.page_of_any_length()?;
            if page.len() <= PAGE_BYTES_MAX || !report.record.thin() {
                return Ok(page);
            }
        }
    }

    /// Writes all of the report as JSON, with a newline at the end.
    ///
    /// # Errors
    /// [`serde_json::Error`], if the data cannot be written as JSON.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(&self.model())? + "\n")
    }

    fn page_of_any_length(&self) -> Result<String, serde_json::Error> {
        let data = serde_json::to_string(&self.model())?;
        let title = format!("{}, seed {}", self.plan.scenario.name(), self.plan.seed);
        let verdict = match self.verdict() {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Nondeterministic => "nondeterministic",
        };
        let text = anstream::adapter::strip_str(&self.to_string()).to_string();
        Ok(filled(
            PAGE,
            &[
                ("verdict", verdict),
                ("title", &escaped(&title)),
                ("heading", &escaped(&self.plan.scenario.title)),
                ("text", &escaped(&text)),
                ("style", STYLE),
                ("data", &within_script(&data)),
                ("script", SCRIPT),
            ],
        ))
    }
}

/// Fills each `{{name}}` of a template. A value is not searched for further ones.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").expect("every placeholder ends");
        let value = values.iter().find(|(candidate, _)| *candidate == name);
        page.push_str(value.expect("every placeholder has a value").1);
        page.push_str(rest);
    }
    page
}

/// Escapes text for HTML, in attributes too.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(letter),
        }
    }
    html
}

/// Escapes JSON for a script: nothing in it can end the script, or begin a comment.
fn within_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_data_ends_the_script() {
        let json = serde_json::to_string("</script><!-- & \"x\"").expect("a text");
        let within = within_script(&json);
        assert!(!within.contains('<'), "{within}");
        assert_eq!(
            serde_json::from_str::<String>(&within).ok().as_deref(),
            Some("</script><!-- & \"x\"")
        );
    }

    #[test]
    fn text_cannot_be_taken_for_markup() {
        assert_eq!(escaped("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
    }

    #[test]
    fn what_is_filled_in_is_no_template() {
        assert_eq!(filled("a{{x}}b{{y}}c", &[("x", "{{y}}"), ("y", "1")]), "a{{y}}b1c");
    }
}
