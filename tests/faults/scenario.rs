//! Description of faults: their injection, and the expected result during the fault and after it.

use std::sync::Arc;

use atlas_simulator::AtlasState;

use crate::support::authority::Authority;
use crate::support::fault_proxy::{ProxyMode, Script, Step};

/// Columns of the table: what must hold of each fault.
pub(super) const COLUMNS: [&str; 5] = ["reason", "metrics", "others", "recovery", "secrets"];

pub(super) struct Fault {
    pub(super) name: String,
    /// Injection in words, for the table.
    pub(super) description: String,
    pub(super) injection: Injection,
    pub(super) outcome: Outcome,
    pub(super) impact: Impact,
    pub(super) recovery: Recovery,
    pub(super) auth: Auth,
    /// Text of the warning about a listing other than the one of jobs; `None` if it can be read.
    pub(super) logged: Option<&'static str>,
    /// True if the fault is injected after a successful poll only: after the fault, no request is
    /// sent to Atlas for a long time.
    pub(super) after_successful_poll: bool,
}

/// Change of the state of the simulator.
type Change = Box<dyn Fn(&mut AtlasState) + Send + Sync>;

pub(super) enum Injection {
    /// The proxy responds for one cluster.
    Script(Script),
    /// The proxy responds for another resource, at a path with `{project}` or `{cluster}`.
    Listing(&'static str, Script),
    /// The TLS proxy before the simulator changes its mode.
    Connection(fn(&Authority) -> ProxyMode),
    /// The forward proxy changes its mode.
    Proxy(fn() -> ProxyMode),
    /// Changes the state of the simulator, and reverts it.
    State(Change, Change),
    /// Content of the secret file; `None` for no file.
    Secret(Option<&'static str>),
    /// Rotates the secret in Atlas and on disk.
    Rotation,
    /// Another base URL, by a reload.
    BaseUrl(&'static str),
    /// Seconds added to the wall clock.
    Clock(i64),
}

/// Result of a poll during a fault.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    /// The poll fails for this reason; metrics are kept until they are stale.
    Fails(&'static str),
    /// The poll succeeds; these metrics differ from those of a healthy cluster.
    Succeeds(&'static [Metric]),
}

/// Metric without its prefix, a part of its labels, and its value; `None` if there is no series.
pub(super) type Metric = (&'static str, &'static str, Option<f64>);

/// Clusters that a fault affects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Impact {
    /// Only the cluster with the fault.
    Cluster,
    /// The whole project waits, as Atlas demanded.
    ProjectWaits,
    /// The whole project has been deleted.
    ProjectGone,
    /// All clusters; pages are served nevertheless.
    AllClusters,
}

/// First successful poll after the fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The first poll that starts after the fault.
    NextPoll,
    /// The first poll after the wait that Atlas demanded.
    AfterWait,
    /// The first poll after the backoff of the token request.
    AfterPause,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth {
    ServiceAccount,
    ServiceAccountFile,
    ApiKey,
    ApiKeyFile,
}

impl Fault {
    pub(super) fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        injection: Injection,
        outcome: Outcome,
    ) -> Self {
        let affects_all = !matches!(injection, Injection::Script(_) | Injection::Listing(..));
        Self {
            name: name.into(),
            description: description.into(),
            injection,
            impact: match outcome {
                Outcome::Fails(_) if affects_all => Impact::AllClusters,
                _ => Impact::Cluster,
            },
            outcome,
            recovery: Recovery::NextPoll,
            auth: Auth::ServiceAccount,
            logged: None,
            after_successful_poll: false,
        }
    }

    pub(super) fn impact(self, impact: Impact) -> Self {
        Self { impact, ..self }
    }

    pub(super) fn recovery(self, recovery: Recovery) -> Self {
        Self { recovery, ..self }
    }

    pub(super) fn auth(self, auth: Auth) -> Self {
        Self { auth, ..self }
    }

    pub(super) fn logged(self, text: &'static str) -> Self {
        Self { logged: Some(text), ..self }
    }

    pub(super) fn after_successful_poll(self) -> Self {
        Self { after_successful_poll: true, ..self }
    }

    /// The cells of the table, in the order of [`COLUMNS`].
    pub(super) fn cells(&self) -> [String; 5] {
        let reason = match self.outcome {
            Outcome::Fails(reason) => format!("`{reason}`"),
            Outcome::Succeeds(_) => match self.logged {
                Some(logged) => format!("none: the poll succeeds; logged: `{logged}`"),
                None => "none: the poll succeeds".to_owned(),
            },
        };
        let metrics = match self.outcome {
            Outcome::Fails(_) if self.after_successful_poll => "kept, then withdrawn",
            Outcome::Fails(_) => "none at first; kept, then withdrawn",
            Outcome::Succeeds([]) => "unchanged",
            Outcome::Succeeds(_) => "readable part",
        };
        let others = match self.impact {
            Impact::Cluster => "✓",
            Impact::ProjectWaits => "✓ except its project, which waits",
            Impact::ProjectGone => "✓ except its project, which is deleted",
            Impact::AllClusters => "all affected; pages are served",
        };
        let recovery = match self.recovery {
            Recovery::NextPoll => "✓",
            Recovery::AfterWait => "after the wait, an hour at most",
            Recovery::AfterPause => "after the backoff of the token request, a minute at most",
        };
        [reason, metrics.to_owned(), others.to_owned(), recovery.to_owned(), "✓".to_owned()]
    }
}

/// Creates a fault of one cluster with a script as the response.
pub(super) fn script(
    name: impl Into<String>,
    description: impl Into<String>,
    outcome: Outcome,
    steps: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static,
) -> Fault {
    Fault::new(name, description, Injection::Script(Arc::new(steps)), outcome)
}

/// Returns an HTTP/1.1 response with its length.
pub(super) fn http(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let head =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Head of a JSON response without a length, whose body ends with the connection.
pub(super) const UNSIZED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";

/// Returns the value of a header of a request.
pub(super) fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find_map(|line| {
        let (known, value) = line.split_once(": ")?;
        known.eq_ignore_ascii_case(name).then_some(value)
    });
    line.unwrap_or_default()
}
