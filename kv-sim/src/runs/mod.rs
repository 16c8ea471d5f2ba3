//! Runs: one ([`mod@run`]), many ([`sweep`]), the failed ones that are kept ([`artefact`]) and made as
//! small as they get ([`shrink`]), those in which one can go back and forth ([`timeline`]), and those
//! that are timed ([`mod@bench`]). [`processor_time`] is what work is measured by.

pub mod artefact;
pub mod bench;
pub mod options;
pub mod panics;
pub mod processor_time;
pub mod run;
pub mod shrink;
pub mod sweep;
pub mod timeline;
