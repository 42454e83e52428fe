//! What a fault is, and what must hold of it.

use std::sync::Arc;

use atlas_simulator::{AtlasState, FaultKind};

use crate::support::authority::Authority;
use crate::support::fault_proxy::{Script, Step, Way};

/// What must hold of each fault, in the order of the table.
pub(super) const COLUMNS: [&str; 5] = ["reason", "figures", "others", "recovery", "secrets"];

/// A fault, how it is made, and what must hold meanwhile and after it.
pub(super) struct Fault {
    pub(super) name: String,
    /// How it is made, for people.
    pub(super) made: String,
    pub(super) how: How,
    pub(super) outcome: Outcome,
    pub(super) others: Others,
    pub(super) recovery: Recovery,
    pub(super) signs: Signs,
    /// What is logged of a listing that is not the one of the jobs; nothing is, if it can be read.
    pub(super) logged: Option<&'static str>,
    /// Whether it is only met after a good poll, since nothing is asked for a long time after it.
    pub(super) late: bool,
}

/// How a fault is made.
pub(super) enum How {
    /// The front of the simulator answers for one cluster.
    Script(Script),
    /// The front answers for another resource, at a part of a path with `{project}` or `{cluster}`.
    Listing(&'static str, Script),
    /// The simulator misbehaves for one cluster.
    Simulated(FaultKind),
    /// How the front treats every connection, over TLS when all is well.
    Way(fn(&Authority) -> Way),
    /// The same of a proxy.
    Proxy(fn() -> Way),
    /// What becomes of the simulated Atlas, and how it is undone.
    World(fn(&mut AtlasState), fn(&mut AtlasState)),
    /// What the file of the secret holds; `None` for no file.
    Secret(Option<&'static str>),
    /// The secret is another one from now on, in Atlas and on disk.
    Rotation,
    /// Another address of Atlas.
    Address(&'static str),
    /// So many seconds are added to the wall clock.
    Clock(i64),
}

/// What a poll makes of a fault.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    /// It fails for this reason, and the figures stay until they are stale.
    Fails(&'static str),
    /// It is good, and these figures differ from what they are without it.
    Good(&'static [Figure]),
}

/// A figure: its name, a part of its labels, and its value; `None` where there is none.
pub(super) type Figure = (&'static str, &'static str, Option<f64>);

/// What becomes of the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// A cluster of the same project goes on as if nothing were the matter.
    Unharmed,
    /// Atlas asked to wait, and that holds for the whole project; for nobody else.
    Wait,
    /// The whole project is gone, and no other.
    Gone,
    /// It is a fault of everyone; the pages are served all the same.
    Everyone,
}

/// How it goes on when the fault is over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The next poll is good.
    NextPoll,
    /// Atlas is not asked before the wait that it asked for is over.
    Kept,
    /// The sign-in is tried again after a pause.
    Pause,
}

/// How requests are signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signs {
    /// A service account; its secret stands in the configuration.
    Account,
    /// A service account whose secret is in a file.
    AccountByFile,
    /// An API key.
    Key,
    /// An API key whose private part is in a file.
    KeyByFile,
}

impl Fault {
    pub(super) fn new(name: impl Into<String>, made: impl Into<String>, how: How, outcome: Outcome) -> Self {
        let everyone = !matches!(how, How::Script(_) | How::Listing(..) | How::Simulated(_));
        Self {
            name: name.into(),
            made: made.into(),
            how,
            others: match outcome {
                Outcome::Fails(_) if everyone => Others::Everyone,
                _ => Others::Unharmed,
            },
            outcome,
            recovery: Recovery::NextPoll,
            signs: Signs::Account,
            logged: None,
            late: false,
        }
    }

    pub(super) fn others(self, others: Others) -> Self {
        Self { others, ..self }
    }

    pub(super) fn recovery(self, recovery: Recovery) -> Self {
        Self { recovery, ..self }
    }

    pub(super) fn signs(self, signs: Signs) -> Self {
        Self { signs, ..self }
    }

    pub(super) fn logged(self, text: &'static str) -> Self {
        Self { logged: Some(text), ..self }
    }

    pub(super) fn late(self) -> Self {
        Self { late: true, ..self }
    }

    /// The cells of the table, in the order of [`COLUMNS`].
    pub(super) fn cells(&self) -> [String; 5] {
        let reason = match self.outcome {
            Outcome::Fails(reason) => format!("`{reason}`"),
            Outcome::Good(_) => match self.logged {
                Some(logged) => format!("none: the poll is good; logged: `{logged}`"),
                None => "none: the poll is good".to_owned(),
            },
        };
        let figures = match self.outcome {
            Outcome::Fails(_) if self.late => "kept, then withdrawn",
            Outcome::Fails(_) => "none at first; kept, then withdrawn",
            Outcome::Good([]) => "as ever",
            Outcome::Good(_) => "what can be read",
        };
        let others = match self.others {
            Others::Unharmed => "✓",
            Others::Wait => "✓ but for its project, which waits",
            Others::Gone => "✓ but for its project, which is gone",
            Others::Everyone => "none: it is everyone's; pages are served",
        };
        let recovery = match self.recovery {
            Recovery::NextPoll => "✓",
            Recovery::Kept => "no: the wait is kept, an hour at most",
            Recovery::Pause => "after the pause of the sign-in, a minute at most",
        };
        [reason, figures.to_owned(), others.to_owned(), recovery.to_owned(), "✓".to_owned()]
    }
}

/// A fault of one cluster that a script makes.
pub(super) fn script(
    name: impl Into<String>,
    made: impl Into<String>,
    outcome: Outcome,
    steps: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static,
) -> Fault {
    Fault::new(name, made, How::Script(Arc::new(steps)), outcome)
}

/// An answer of HTTP/1.1, its length told.
pub(super) fn http(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let head =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The head of an answer with JSON whose length nobody tells: it goes on until the connection ends.
pub(super) const UNTOLD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";

/// The value of a header of a request.
pub(super) fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find_map(|line| {
        let (known, value) = line.split_once(": ")?;
        known.eq_ignore_ascii_case(name).then_some(value)
    });
    line.unwrap_or_default()
}
