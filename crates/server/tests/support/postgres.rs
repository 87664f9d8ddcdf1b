//! A PostgreSQL of this process's own: made by the system's programs in a temporary folder, under a user
//! without privileges, on a free port of this machine. It ends with this process, however that ends.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::Connection as _;

/// A running server.
pub(crate) struct Server {
    port: u16,
    count: AtomicU32,
    // Its standard input: when this process ends it closes, and the server is stopped.
    _child: Child,
}

/// The server of this process, or `None` with the reason printed.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref()
}

/// The newest PostgreSQL of the system.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|e| e.path().join("bin")).collect();
    found.retain(|path| path.join("initdb").exists());
    found.sort();
    found.pop()
}

/// A user who may run a server: ourselves, unless we are root.
pub(crate) fn user() -> Option<(u32, u32)> {
    let own = fs::metadata("/proc/self").ok()?;
    if own.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    of("postgres").or_else(|| of("nobody"))
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn start() -> Option<Server> {
    let Some(programs) = programs() else {
        eprintln!("SKIPPED: no PostgreSQL in /usr/lib/postgresql (Debian: apt-get install postgresql)");
        return None;
    };
    let (dir, user) = (tempfile::tempdir().unwrap().keep(), user());
    if let Some((uid, gid)) = user {
        chown(&dir, Some(uid), Some(gid)).unwrap();
    }
    let data = dir.join("data");
    let made = as_user(&mut Command::new(programs.join("initdb")), user)
        .args(["-A", "trust", "-U", "onshelf", "-E", "UTF8", "--no-sync", "-D"])
        .arg(&data)
        .current_dir(&dir)
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = run(&programs, &dir, &data, port, user);
    let server = Server { port, count: AtomicU32::new(0), _child: child };
    server.wait(&dir);
    Some(server)
}

/// A shell that stops the server when its own standard input closes.
fn run(programs: &Path, dir: &Path, data: &Path, port: u16, user: Option<(u32, u32)>) -> Child {
    let script = r#""$1/postgres" -D "$2" -p "$3" -k "$4" -c listen_addresses=127.0.0.1 -c fsync=off \
        -c max_connections=100 >"$4/log" 2>&1 & pid=$!; cat >/dev/null; kill -QUIT $pid; wait $pid; rm -rf "$4""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(programs).arg(data).arg(port.to_string()).arg(dir);
    as_user(&mut command, user)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("postgres://onshelf@127.0.0.1:{}/{database}", self.port)
    }

    fn wait(&self, dir: &Path) {
        for _ in 0..300 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("PostgreSQL did not start: {}", fs::read_to_string(dir.join("log")).unwrap_or_default());
    }

    /// A new, empty database.
    pub(crate) async fn database(&self) -> String {
        self.database_at(None).await
    }

    /// As [`Self::database`], with its tables in an empty folder that is the server's user's.
    pub(crate) async fn database_at(&self, folder: Option<&Path>) -> String {
        let name = format!("test{}", self.count.fetch_add(1, Ordering::SeqCst));
        let mut tries = 0;
        let mut connection = loop {
            match sqlx::PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => break connection,
                Err(error) if tries > 100 => panic!("{error}"),
                Err(_) => tries += 1,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let mut place = String::new();
        if let Some(folder) = folder {
            let statement = format!("CREATE TABLESPACE {name} LOCATION '{}'", folder.display());
            sqlx::query(&statement).execute(&mut connection).await.unwrap();
            place = format!(" TABLESPACE {name}");
        }
        sqlx::query(&format!("CREATE DATABASE {name}{place}")).execute(&mut connection).await.unwrap();
        self.url(&name)
    }

    /// Takes a database away from whoever uses it.
    pub(crate) async fn take_away(&self, url: &str) {
        let name = url.rsplit('/').next().unwrap();
        let mut connection = sqlx::PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::query(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut connection).await.unwrap();
    }
}
