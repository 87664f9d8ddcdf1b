//! The configuration file: TOML, with secrets taken from the environment where it says `env:NAME`.

use std::net::SocketAddr;
use std::path::Path;

use onshelf_core::version::{from_hex_32, public_key};
use serde::Deserialize;
use thiserror::Error;

use crate::aggregator::{Limits, Peer, Role, Settings, Times, Token};

/// Why a configuration was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// It is not TOML, or names what is not known.
    #[error("configuration: {0}")]
    Toml(#[from] toml::de::Error),
    /// A variable of the environment is missing.
    #[error("configuration: it names the environment variable {0}, which is not set")]
    Environment(String),
    /// A rule is broken.
    #[error("configuration: {0}")]
    Rule(String),
}

/// One role's section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// Public keys that may sign tasks, hex.
    pub task_keys: Vec<String>,
    /// 32 bytes, hex, that leader and helper share.
    pub verify_secret: Token,
    /// Tokens that may add tasks and read the status.
    #[serde(default)]
    pub operator_tokens: Vec<Token>,
    /// Helper: tokens of its leader.
    #[serde(default)]
    pub leader_tokens: Vec<Token>,
    /// Leader: tokens of the collector.
    #[serde(default)]
    pub collector_tokens: Vec<Token>,
    /// Leader: its helper.
    pub helper: Option<Peer>,
    /// Secrets, 32 bytes in hex, of the keys of an oblivious HTTP gateway; the first is the one that is offered.
    #[serde(default)]
    pub gateway_secrets: Vec<Token>,
    /// Connections to PostgreSQL.
    #[serde(default = "connections")]
    pub connections: u32,
    /// Leader: workers.
    #[serde(default = "workers")]
    pub workers: usize,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
    /// Times.
    #[serde(default)]
    pub times: Times,
}

fn connections() -> u32 {
    10
}

fn workers() -> usize {
    2
}

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; a reverse proxy with TLS stands before it.
    pub listen: SocketAddr,
    /// Has to be true where both roles are configured.
    #[serde(default)]
    pub embedded: bool,
    /// The leader, if this process is one; below `/leader/` where it is both.
    pub leader: Option<RoleConfig>,
    /// The helper, if this process is one; below `/helper/` where it is both.
    pub helper: Option<RoleConfig>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| ConfigError::File(path.display().to_string(), error))?;
        Self::parse(&text, &|name| std::env::var(name).ok())
    }

    /// Reads a text; `environment` gives the variables.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut value: toml::Value = toml::from_str(text)?;
        fill(&mut value, environment)?;
        let config: Self = value.try_into()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let rule =
            |holds: bool, what: &str| if holds { Ok(()) } else { Err(ConfigError::Rule(what.to_owned())) };
        rule(self.leader.is_some() || self.helper.is_some(), "a section [leader] or [helper] is needed")?;
        let both = self.leader.is_some() && self.helper.is_some();
        rule(
            both == self.embedded,
            "`embedded = true` belongs to a process with both roles, and only there: one operator who holds both \
             shares can put them together",
        )?;
        if let (Some(leader), Some(helper)) = (&self.leader, &self.helper) {
            rule(leader.database != helper.database, "leader and helper need databases of their own")?;
        }
        if let Some(leader) = &self.leader {
            rule(leader.helper.is_some(), "[leader] needs [leader.helper] with a token")?;
            rule(!leader.collector_tokens.is_empty(), "[leader] needs collector_tokens")?;
        }
        if let Some(helper) = &self.helper {
            rule(!helper.leader_tokens.is_empty(), "[helper] needs leader_tokens")?;
        }
        Ok(())
    }

    /// The roles that are configured.
    #[must_use]
    pub fn roles(&self) -> Vec<(Role, &RoleConfig)> {
        let leader = self.leader.as_ref().map(|config| (Role::Leader, config));
        leader.into_iter().chain(self.helper.as_ref().map(|config| (Role::Helper, config))).collect()
    }
}

impl RoleConfig {
    /// The settings of a role.
    ///
    /// # Errors
    /// [`ConfigError::Rule`].
    pub fn settings(&self, role: Role) -> Result<Settings, ConfigError> {
        let rule = |what: String| ConfigError::Rule(format!("[{}] {what}", role.name()));
        for key in &self.task_keys {
            public_key(key).map_err(|error| rule(error.to_string()))?;
        }
        let verify_secret = from_hex_32(&self.verify_secret.0)
            .ok_or_else(|| rule("verify_secret must be 64 lower-case hexadecimal digits".into()))?;
        let tokens = [&self.operator_tokens, &self.leader_tokens, &self.collector_tokens];
        let helper = self.helper.iter().map(|peer| &peer.token);
        if tokens.into_iter().flatten().chain(helper).any(|token| token.0.len() < 16) {
            return Err(rule("tokens must have 16 characters or more".into()));
        }
        let gateway_key =
            |secret: &Token| from_hex_32(&secret.0).map(|secret| crate::keys::of_gateway(&secret));
        let gateway_keys: Option<Vec<_>> = self.gateway_secrets.iter().map(gateway_key).collect();
        let gateway_keys = gateway_keys
            .ok_or_else(|| rule("gateway_secrets must be 64 lower-case hexadecimal digits each".into()))?;
        Ok(Settings {
            role,
            task_keys: self.task_keys.clone(),
            verify_secret,
            operator_tokens: self.operator_tokens.clone(),
            leader_tokens: self.leader_tokens.clone(),
            collector_tokens: self.collector_tokens.clone(),
            helper: self.helper.clone(),
            gateway_keys,
            limits: self.limits,
            times: self.times,
        })
    }
}

/// Replaces every text `env:NAME` by the variable's value.
fn fill(value: &mut toml::Value, environment: &dyn Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
    match value {
        toml::Value::String(text) => {
            if let Some(name) = text.strip_prefix("env:") {
                let found = environment(name).ok_or_else(|| ConfigError::Environment(name.to_owned()))?;
                *text = found;
            }
        }
        toml::Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, environment))?,
        toml::Value::Table(table) => table.iter_mut().try_for_each(|(_, item)| fill(item, environment))?,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        listen = "127.0.0.1:8301"
        [leader]
        database = "sqlite:leader.db"
        task_keys = ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]
        verify_secret = "env:SECRET"
        collector_tokens = ["collector-collector"]
        helper = { token = "helper-helper-helper" }
        limits = { job_reports = 50 }
    "#;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, &|name| (name == "SECRET").then(|| "ab".repeat(32)))
    }

    #[test]
    fn secrets_come_from_the_environment_and_are_not_printed() {
        let config = parse(GOOD).unwrap();
        let settings = config.leader.as_ref().unwrap().settings(Role::Leader).unwrap();
        assert_eq!(settings.verify_secret, [0xab; 32]);
        assert_eq!(settings.limits, Limits { job_reports: 50, ..Limits::default() });
        let printed = format!("{config:?}");
        assert!(!printed.contains("abab") && !printed.contains("collector-collector"), "{printed}");
        assert!(
            matches!(Config::parse(GOOD, &|_| None), Err(ConfigError::Environment(name)) if name == "SECRET")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let helper = "[helper]\ndatabase = \"sqlite:helper.db\"\ntask_keys = []\nverify_secret = \"env:SECRET\"\n\
            leader_tokens = [\"helper-helper-helper\"]\n";
        assert!(parse(&format!("{GOOD}\n{helper}")).is_err(), "both roles without saying so");
        assert!(parse(&format!("embedded = true\n{GOOD}\n{helper}")).is_ok());
        assert!(parse(&format!("embedded = true\n{GOOD}")).is_err(), "embedded with one role");
        for (from, to) in
            [("helper = {", "helpers = {"), ("collector_tokens", "operator_tokens"), ("[leader]", "[other]")]
        {
            assert!(parse(&GOOD.replace(from, to)).is_err(), "{to}");
        }
        let short = parse(&GOOD.replace("helper-helper-helper", "short")).unwrap();
        assert!(short.leader.unwrap().settings(Role::Leader).is_err());
        let noise = GOOD.replace("limits =", "noise = \"none\"\nlimits =");
        assert!(parse(&noise).is_err(), "noise cannot be configured away");
    }
}
