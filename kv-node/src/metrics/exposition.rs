//! The two forms in which scrapers read metrics: OpenMetrics 1.0, and the older text of Prometheus,
//! version 0.0.4, which everything reads.

use std::fmt::Write as _;

/// A form in which metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text of Prometheus, version 0.0.4.
    Text,
}

impl Exposition {
    /// The type of the content in HTTP.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts OpenMetrics to this form.
    pub(super) fn of_open_metrics(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => text_of(&open_metrics),
        }
    }
}

/// Converts OpenMetrics to the older text. The samples of both are the same, but not their
/// descriptions: in OpenMetrics a counter `requests` has samples `requests_total`, and an info
/// `build` a sample `build_info`; in the older text a metric is named as its samples are, there is
/// no info, and units and the end are not marked.
fn text_of(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(said) = line.strip_prefix("# HELP ") {
            help = said.split_once(' ');
        } else if let Some(said) = line.strip_prefix("# TYPE ") {
            let (name, kind) = said.split_once(' ').unwrap_or((said, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "gauge" | "histogram" | "summary" => ("", kind),
                _ => ("", "untyped"),
            };
            if let Some((_, help)) = help.take().filter(|(helped, _)| *helped == name) {
                writeln!(text, "# HELP {name}{suffix} {help}").expect("a string takes every text");
            }
            writeln!(text, "# TYPE {name}{suffix} {kind}").expect("a string takes every text");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_are_named_as_their_samples_and_marks_of_openmetrics_go() {
        let open_metrics = "\
            # HELP kv_bytes Bytes of peers, with frames.\n# TYPE kv_bytes counter\n\
            kv_bytes_total{direction=\"in\"} 7\n\
            # HELP kv_build The build.\n# TYPE kv_build info\nkv_build_info{version=\"1\"} 1\n\
            # HELP kv_time_seconds Time.\n# TYPE kv_time_seconds histogram\n# UNIT kv_time_seconds seconds\n\
            kv_time_seconds_sum 0.0\nkv_time_seconds_count 0\nkv_time_seconds_bucket{le=\"+Inf\"} 0\n\
            # TYPE kv_up gauge\nkv_up 1\n# EOF\n";
        let expected = "\
            # HELP kv_bytes_total Bytes of peers, with frames.\n# TYPE kv_bytes_total counter\n\
            kv_bytes_total{direction=\"in\"} 7\n\
            # HELP kv_build_info The build.\n# TYPE kv_build_info gauge\nkv_build_info{version=\"1\"} 1\n\
            # HELP kv_time_seconds Time.\n# TYPE kv_time_seconds histogram\n\
            kv_time_seconds_sum 0.0\nkv_time_seconds_count 0\nkv_time_seconds_bucket{le=\"+Inf\"} 0\n\
            # TYPE kv_up gauge\nkv_up 1\n";
        assert_eq!(Exposition::Text.of_open_metrics(open_metrics.to_owned()), expected);
        let unchanged = Exposition::OpenMetrics.of_open_metrics(open_metrics.to_owned());
        assert_eq!(unchanged, open_metrics);
    }
}
