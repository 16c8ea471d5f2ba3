//! What is told of a run, to people and to scripts.
//!
//! | module | tells |
//! |---|---|
//! | [`digest`] | whether two runs were the same, event by event |
//! | [`history`] | what clients asked and were told, as other checkers read it |
//! | [`result`] | the verdict, with its figures |
//! | [`record`] | the facts that a report is made of, kept while the run happens |
//! | [`state`] | one moment: nodes, disks, links, keys, clients |
//! | [`report`] | a failure, as one page |
//! | [`summary`] | a run in a terminal |

mod cluster_words;
pub mod digest;
pub mod history;
pub mod record;
pub mod report;
pub mod result;
pub mod state;
pub mod summary;
pub mod words;
