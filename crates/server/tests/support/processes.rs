//! A deployment of processes, each with a configuration of its own, that tests can kill and start again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use onshelf_core::protocol::hpke::{Keypair, PublicConfig};
use onshelf_core::protocol::manifest::{Aggregator as Named, TaskManifest};
use onshelf_core::version::{signing_key, to_hex};
use onshelf_server::random;

use super::{Databases, Options, parameters};

/// The token of all parties.
pub(crate) const TOKEN: &str = "a-token-of-these-tests";

/// A process that is started again whenever it was killed.
pub(crate) struct Process {
    config: PathBuf,
    child: Child,
}

impl Process {
    pub(crate) fn start(config: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let folder = program.parent().unwrap().parent().unwrap();
        let program = folder.join("examples/aggregator_without_noise");
        let child =
            Command::new(program).arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { config: config.to_owned(), child }
    }

    /// SIGKILL: nothing is flushed, closed or answered.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// [`Self::kill`], and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Starts it again after [`Self::kill`].
    pub(crate) fn restart(&mut self) {
        *self = Self::start(&self.config);
    }

    /// The most memory that it had resident so far, bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A deployment of processes: some leaders on one database, and a helper.
pub(crate) struct Processes {
    /// Leaders, then the helper.
    pub(crate) running: Vec<Process>,
    pub(crate) task: TaskManifest,
    pub(crate) collector: Keypair,
    _dir: tempfile::TempDir,
    _databases: Databases,
}

fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn config(role: &str, port: u16, database: &str, key: &str, secret: &str, job_reports: u32) -> String {
    let more = if role == "leader" {
        format!("collector_tokens = [\"{TOKEN}\"]\nhelper = {{ token = \"{TOKEN}\" }}\nworkers = 2")
    } else {
        format!("leader_tokens = [\"{TOKEN}\"]")
    };
    format!(
        "listen = \"127.0.0.1:{port}\"\n[{role}]\ndatabase = \"{database}\"\ntask_keys = [\"{key}\"]\n\
         verify_secret = \"{secret}\"\noperator_tokens = [\"{TOKEN}\"]\n{more}\n\
         limits = {{ job_reports = {job_reports} }}\ntimes = {{ linger = 0, lease = 3, backoff = 1, peer = 5 }}\n"
    )
}

async fn wait(client: &reqwest::Client, url: &str) {
    for _ in 0..300 {
        if client.get(format!("{url}readyz")).send().await.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{url} did not start");
}

async fn own_key(client: &reqwest::Client, url: &str) -> PublicConfig {
    let answer = client.get(format!("{url}onshelf/keys")).bearer_auth(TOKEN).send().await.unwrap();
    let keys: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    PublicConfig::try_from(keys[0]["config"].as_str().unwrap().to_owned()).unwrap()
}

impl Processes {
    /// `leaders` on one database, and a helper, with a task of these options; of `limits` counts `job_reports`.
    pub(crate) async fn new(databases: Databases, leaders: usize, options: &Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let signer = signing_key(&to_hex(&random::array::<32>())).unwrap();
        let key = to_hex(signer.verifying_key().as_bytes());
        let secret = to_hex(&random::array::<32>());
        let client = reqwest::Client::new();
        let (mut running, mut urls) = (Vec::new(), Vec::new());
        for (role, database, count) in
            [("leader", &databases.leader, leaders), ("helper", &databases.helper, 1)]
        {
            for n in 0..count {
                let (path, port) = (dir.path().join(format!("{role}{n}.toml")), port());
                std::fs::write(
                    &path,
                    config(role, port, database, &key, &secret, options.limits.job_reports),
                )
                .unwrap();
                running.push(Process::start(&path));
                let url = format!("http://127.0.0.1:{port}/");
                wait(&client, &url).await;
                urls.push(url);
            }
        }
        let helper = urls.pop().unwrap();
        let leader = urls[0].clone();
        let collector = Keypair::derive(9, &random::array());
        let leader = Named { hpke: own_key(&client, &leader).await, url: leader };
        let helper = Named { hpke: own_key(&client, &helper).await, url: helper };
        let task = TaskManifest::new(parameters(options, leader, helper, &collector)).unwrap();
        let envelope = task.sign(&signer).unwrap();
        for url in [&task.parameters().leader.url, &task.parameters().helper.url] {
            let request =
                client.post(format!("{url}onshelf/tasks")).bearer_auth(TOKEN).body(envelope.clone());
            assert_eq!(request.send().await.unwrap().status(), 201);
        }
        Self { running, task, collector, _dir: dir, _databases: databases }
    }
}
