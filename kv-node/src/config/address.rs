//! The address of a member: HOST:PORT, in the only ways in which it can be meant.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The address at which peers reach a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeerAddress {
    pub(super) host: Host,
    pub(super) port: u16,
}

/// A machine, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// The IP address of the machine.
    Ip(IpAddr),
    /// The name of the machine, in lower case.
    Name(String),
}

/// The reason why a text is no address of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressError {
    /// The text to show beside the caret: what to write instead.
    pub(super) label: String,
}

impl PeerAddress {
    /// Reads an address.
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let wrong = |label: String| Err(AddressError { label });
        if let Some((scheme, rest)) = text.split_once("://") {
            let rest = rest.trim_end_matches('/');
            return wrong(format!("leave out `{scheme}://`: write {rest}"));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return wrong(format!(
                "write HOST:PORT, and brackets around such a host: [{address}]:7101"
            ));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return wrong("write HOST:PORT".to_owned());
        };
        let port = match port.parse::<u16>() {
            Ok(0) => return wrong("peers must know the port: it cannot be 0".to_owned()),
            Ok(port) if !port_is_signed(text) => port,
            Ok(_) | Err(_) => {
                return wrong("write HOST:PORT, with a port from 1 to 65535".to_owned());
            }
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => match inner.parse::<Ipv6Addr>() {
                Ok(address) => Host::Ip(address.into()),
                Err(_) => return wrong("no IPv6 address stands in these brackets".to_owned()),
            },
            None if host.parse::<Ipv6Addr>().is_ok() || host.contains(':') => {
                return wrong(format!("write brackets around such a host: [{host}]:{port}"));
            }
            None => match host.parse::<IpAddr>() {
                Ok(address) => Host::Ip(address),
                Err(_) if is_name(host) => Host::Name(host.to_ascii_lowercase()),
                Err(_) => {
                    return wrong("write HOST:PORT, where HOST is a name or a number".to_owned());
                }
            },
        };
        match host {
            Host::Ip(ip) if ip.is_unspecified() => {
                wrong("nobody is reached there: name the machine's own address".to_owned())
            }
            Host::Ip(ip) if ip.is_multicast() || ip == IpAddr::from([255; 4]) => {
                wrong("this is the address of many: name the machine's own".to_owned())
            }
            Host::Ip(_) | Host::Name(_) => Ok(Self { host, port }),
        }
    }

    /// Tells whether only this machine is reached there.
    pub(super) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Ip(ip) => ip.is_loopback(),
            Host::Name(name) => name == "localhost",
        }
    }
}

/// True if the port has a sign: `+7101` is a number to Rust and no port to anybody else.
fn port_is_signed(text: &str) -> bool {
    text.contains(":+")
}

/// True if the text is a host name: letters, digits, hyphens and underscores between dots; the last
/// part is no number, or it would be a malformed IP address.
fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_part = |part: &str| {
        let of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !part.is_empty() && part.len() <= 63 && part.chars().all(of_name)
    };
    let last = host.rsplit('.').next().unwrap_or(host);
    host.len() <= 253 && host.split('.').all(is_part) && !last.chars().all(|c| c.is_ascii_digit())
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_with_ports_are_addresses() {
        let sound = [
            "n2:7101",
            "N2.example.com:7101",
            "kv_2.svc.cluster.local:1",
            "n2.:7101",
            "10.0.0.2:65535",
            "[::1]:7101",
            "[fe80::2]:7101",
        ];
        for text in sound {
            assert!(PeerAddress::parse(text).is_ok(), "{text}");
        }
        assert_eq!(PeerAddress::parse("N2:1"), PeerAddress::parse("n2:1"));
    }

    #[test]
    fn what_is_no_address_is_told_how_to_be_one() {
        let told = [
            ("n2", "HOST:PORT"),
            ("", "HOST:PORT"),
            (":7101", "HOST is a name"),
            ("n2:", "a port from 1"),
            ("n2:0", "cannot be 0"),
            ("n2:+7101", "a port from 1"),
            ("n2:70000", "a port from 1"),
            ("http://n2:7101", "write n2:7101"),
            ("tcp://n2:7101/", "write n2:7101"),
            ("n2:7101/", "a port from 1"),
            ("n 2:7101", "HOST is a name"),
            ("n2..x:7101", "HOST is a name"),
            ("300.1.1.1:7101", "HOST is a name"),
            ("::1", "brackets"),
            ("::1:7101", "brackets"),
            ("fe80::2:7101", "brackets"),
            ("[n2]:7101", "no IPv6 address"),
            ("0.0.0.0:7101", "nobody is reached there"),
            ("[::]:7101", "nobody is reached there"),
            ("224.0.0.1:7101", "the address of many"),
            ("255.255.255.255:7101", "the address of many"),
        ];
        for (text, word) in told {
            let error = PeerAddress::parse(text).expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
