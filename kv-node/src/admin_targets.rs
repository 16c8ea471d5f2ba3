//! The running nodes that an operator's command talks to: `--http` or `--config`, or the
//! environment of the node.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::admin_client::{HttpAddress, HttpAddressError};
use crate::config::{ConfigError, Overrides, Settings, Surroundings};

/// The flags that name running nodes.
#[derive(Clone, Debug, clap::Args)]
pub struct AdminTargets {
    /// The HTTP address of a running node, as the node printed it; may be given again. Without it and
    /// --config, KV_NODE_HTTP or KV_NODE_CONFIG of the environment
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    http: Vec<HttpAddress>,
    /// The configuration of a node on this machine, which says where its HTTP interface is; may be
    /// given again
    #[arg(long, value_name = "FILE", conflicts_with = "http")]
    config: Vec<PathBuf>,
    /// Which member the node of that configuration is, if the file does not say
    #[arg(long, env = "KV_NODE_NAME")]
    name: Option<String>,
}

/// The reason why the nodes are not known.
#[derive(Debug, Error)]
pub enum AdminTargetsError {
    /// Neither flags nor the environment name a node.
    #[error(
        "it is not said which node to ask: give --http ADDRESS:PORT, which a node prints when it starts, or --config FILE"
    )]
    Unnamed,
    /// The environment names no address.
    #[error("KV_NODE_HTTP in the environment: {0}")]
    Environment(#[from] HttpAddressError),
    /// The system chose the port, which the configuration cannot know.
    #[error(
        "{path} lets the system choose the HTTP port: give --http with the address that the node printed"
    )]
    ChosenPort {
        /// The path of the configuration.
        path: String,
    },
    /// A configuration is not valid.
    #[error("{0}")]
    Config(#[from] ConfigError),
}

impl AdminTargets {
    /// The addresses, one at least, in the order in which they were given.
    ///
    /// # Errors
    /// [`AdminTargetsError`].
    pub fn addresses(self) -> Result<Vec<HttpAddress>, AdminTargetsError> {
        let environment = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        self.addresses_within(environment)
    }

    /// Returns the same as [`AdminTargets::addresses`], in this environment.
    fn addresses_within(
        self,
        environment: impl Fn(&'static str) -> Option<OsString>,
    ) -> Result<Vec<HttpAddress>, AdminTargetsError> {
        let Self { mut http, mut config, name } = self;
        if http.is_empty() && config.is_empty() {
            match (environment("KV_NODE_HTTP"), environment("KV_NODE_CONFIG")) {
                (Some(address), _) => http.push(address.to_string_lossy().parse()?),
                (None, Some(path)) => config.push(path.into()),
                (None, None) => return Err(AdminTargetsError::Unnamed),
            }
        }
        for path in config {
            http.push(of_config(&path, name.clone())?);
        }
        Ok(http)
    }
}

/// The address of the node with this configuration.
fn of_config(path: &Path, name: Option<String>) -> Result<HttpAddress, AdminTargetsError> {
    // The node may be given these as flags; here they are of no interest.
    let unused = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let overrides = Overrides {
        name,
        data_dir: Some(PathBuf::from("unused")),
        redis: unused,
        peer: unused,
        ..Overrides::default()
    };
    let listener = Settings::load(path, &overrides, &Surroundings::default())?.listen.http;
    if listener.port() == 0 {
        return Err(AdminTargetsError::ChosenPort { path: path.display().to_string() });
    }
    Ok(HttpAddress::of_listener(listener))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(http: &[&str], config: &[&Path]) -> AdminTargets {
        AdminTargets {
            http: http.iter().map(|text| text.parse().expect("an address")).collect(),
            config: config.iter().map(|&path| path.to_owned()).collect(),
            name: None,
        }
    }

    fn shown(found: Result<Vec<HttpAddress>, AdminTargetsError>) -> Result<Vec<String>, String> {
        found
            .map(|found| found.iter().map(HttpAddress::to_string).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_win_over_the_environment_and_an_address_over_a_configuration() {
        let environment =
            |name: &'static str| (name == "KV_NODE_HTTP").then(|| OsString::from("0.0.0.0:9"));
        let given = targets(&["127.0.0.1:1", "127.0.0.1:2"], &[]);
        let found = shown(given.addresses_within(environment));
        assert_eq!(found, Ok(vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()]));
        let found = shown(targets(&[], &[]).addresses_within(environment));
        assert_eq!(found, Ok(vec!["127.0.0.1:9".to_owned()]));
        let error =
            shown(targets(&[], &[]).addresses_within(|_| None)).expect_err("nobody is named");
        assert!(error.contains("--http"), "{error}");
    }

    #[test]
    fn the_address_of_a_configuration_is_that_of_its_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kv.toml");
        std::fs::write(&path, crate::config::DEFAULT).expect("a new file");
        let found = shown(targets(&[], &[&path]).addresses_within(|_| None));
        assert_eq!(found, Ok(vec!["127.0.0.1:7201".to_owned()]));
        let chosen = crate::config::DEFAULT.replace("127.0.0.1:7201", "127.0.0.1:0");
        std::fs::write(&path, chosen).expect("the file is ours");
        let error = shown(targets(&[], &[&path]).addresses_within(|_| None));
        assert!(error.expect_err("nobody knows the port").contains("--http"));
    }
}
