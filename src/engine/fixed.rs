//! What a daemon was started with and a reload does not change: `[engine]` but for
//! `engine.max_targets`, `[api]`, `[state]`, `[aws]` and `[alibaba]`. Who changes any of it is told
//! that it holds from the next start.

use crate::config::{AlibabaConfig, ApiConfig, AwsConfig, Config, EngineConfig, StateConfig};

/// See the module's head.
#[derive(Debug)]
pub(super) struct Fixed {
    engine: EngineConfig,
    api: ApiConfig,
    state: StateConfig,
    aws: AwsConfig,
    alibaba: AlibabaConfig,
}

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        let Config { engine, api, state, aws, alibaba, .. } = config;
        Self {
            engine: engine.clone(),
            api: api.clone(),
            state: state.clone(),
            aws: aws.clone(),
            alibaba: alibaba.clone(),
        }
    }

    /// The settings that `next` says otherwise.
    pub(super) fn changed(&self, next: &Self) -> Vec<&'static str> {
        let EngineConfig {
            workers,
            max_in_flight,
            tls_in_flight,
            tls_session_memory,
            backend,
            max_targets: _,
        } = &self.engine;
        let ApiConfig { socket, socket_mode, socket_group, listen } = &self.api;
        let StateConfig { dir, snapshot_interval, snapshot_max_age } = &self.state;
        let AwsConfig { region, account, rules } = &self.aws;
        let settings = [
            ("engine.workers", *workers != next.engine.workers),
            ("engine.max_in_flight", *max_in_flight != next.engine.max_in_flight),
            ("engine.tls_in_flight", *tls_in_flight != next.engine.tls_in_flight),
            ("engine.tls_session_memory", *tls_session_memory != next.engine.tls_session_memory),
            ("engine.backend", *backend != next.engine.backend),
            ("api.socket", *socket != next.api.socket),
            ("api.socket_mode", *socket_mode != next.api.socket_mode),
            ("api.socket_group", *socket_group != next.api.socket_group),
            ("api.listen", *listen != next.api.listen),
            ("state.dir", *dir != next.state.dir),
            ("state.snapshot_interval", *snapshot_interval != next.state.snapshot_interval),
            ("state.snapshot_max_age", *snapshot_max_age != next.state.snapshot_max_age),
            ("aws.region", *region != next.aws.region),
            ("aws.account", *account != next.aws.account),
            ("aws.rules", *rules != next.aws.rules),
            ("alibaba.region", self.alibaba != next.alibaba),
        ];
        settings.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> Fixed {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Fixed::of(&crate::config::load(file.path()).unwrap())
    }

    #[test]
    fn every_setting_that_a_reload_does_not_change_is_named() {
        let none = fixed("");
        let changed = |text: &str| none.changed(&fixed(text));
        for (section, key, value) in [
            ("engine", "workers", "3"),
            ("engine", "max_in_flight", "64"),
            ("engine", "tls_in_flight", "64"),
            ("engine", "tls_session_memory", "64"),
            ("engine", "backend", "\"epoll\""),
            ("api", "socket", "\"/tmp/s\""),
            ("api", "socket_mode", "\"0600\""),
            ("api", "socket_group", "\"adm\""),
            ("state", "dir", "\"/tmp/d\""),
            ("state", "snapshot_interval", "\"9s\""),
            ("state", "snapshot_max_age", "\"9s\""),
            ("aws", "region", "\"eu-west-1\""),
            ("aws", "account", "\"123456789012\""),
            ("aws", "rules", "\"current\""),
            ("alibaba", "region", "\"eu-west-1\""),
        ] {
            let found = changed(&format!("[{section}]\n{key} = {value}\n"));
            assert_eq!(found, [format!("{section}.{key}")]);
        }
        let listens = "[api]\nlisten = \"127.0.0.1:1\"\n[state]\ndir = \"/tmp/d\"\n";
        assert_eq!(changed(listens), ["api.listen", "state.dir"]);
        assert_eq!(changed("[engine]\nmax_targets = 7\n[[group]]\nname = \"g\"\n"), [""; 0]);
    }
}
