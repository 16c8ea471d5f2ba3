//! The Redis serialization protocol, versions 2 and 3: commands in, replies out, as bytes. Neither
//! side knows what a command means, and neither touches a socket.

pub mod encoder;
pub mod parser;

pub use encoder::{Encoder, Protocol};
pub use parser::{Command, ParseError, Parser, ParserLimits};
