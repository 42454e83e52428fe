//! The HTTP proxy of the environment, from the variables that curl, Go and Atlas's own tools read.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::credentials::is_quote;
use crate::endpoint::authority;
use crate::redact;

/// Variables for the proxy of https requests; the first that is set is used.
const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];

const EXAMPLE: &str = "such as http://proxy.example.org:3128";

/// The proxy of requests to Atlas.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// URL of the proxy, which can contain a password.
    pub(crate) url: Url,
    variable: &'static str,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self}, {})", self.variable)
    }
}

/// Writes the URL without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.authority())
    }
}

impl Proxy {
    /// Registers the credentials and their `Basic` pair for redaction.
    pub fn redact(&self) {
        let (user, password) = (self.url.username(), self.url.password());
        let (user, password) = (decoded(user).unwrap_or_default(), password.and_then(decoded));
        let pair = format!("{user}:{}", password.as_deref().unwrap_or_default());
        // Without a password, the user name is the secret.
        for secret in [password.unwrap_or(user), pair] {
            redact::register(redact::Kind::Configuration, &secret);
        }
    }

    /// Returns host and port, for messages without credentials.
    pub(crate) fn authority(&self) -> String {
        authority(&self.url)
    }

    /// Returns the environment variable that configures the proxy.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// Returns the proxy for requests to `base_url`; `None` for a direct connection.
    ///
    /// `variable` looks up a non-empty variable; `warn` receives a variable and its problem. An
    /// unusable value is an error, or a warning if another variable overrides it: desktops often
    /// set `ALL_PROXY` to a SOCKS proxy. Messages do not repeat the value.
    pub fn from_environment<'a>(
        variable: impl Fn(&str) -> Option<&'a str>,
        base_url: &Url,
        mut warn: impl FnMut(&'static str, String),
    ) -> Result<Option<Self>, String> {
        let set = |name: &'static str| Some((name, variable(name)?));
        let mut chosen = None;
        for (name, value) in HTTPS.into_iter().filter_map(set) {
            match address(value) {
                Ok(url) => chosen = chosen.or(Some(Self { url, variable: name })),
                Err(problem) if chosen.is_none() => return Err(format!("{name}: {problem}")),
                Err(problem) => warn(name, problem),
            }
        }
        // Requests over plain http are for this machine.
        let chosen = chosen.filter(|_| base_url.scheme() == "https");
        match NO.into_iter().find_map(set) {
            Some((name, value)) if chosen.is_some() && value.contains(is_quote) => {
                Err(format!("{name}: the value contains quotes; remove them"))
            }
            Some((_, value)) => Ok(chosen.filter(|_| !covers(value, base_url))),
            None => Ok(chosen),
        }
    }
}

/// Parses the URL of a proxy, by default with the scheme http. The error does not repeat the value.
fn address(value: &str) -> Result<Url, String> {
    let is_unwritten = |c: char| is_quote(c) || c.is_whitespace() || c.is_control() || c == '\u{feff}';
    if value.contains(is_unwritten) {
        return Err("the value contains quotes, white space or control characters; remove them \
                    (in a password, quotes are written %22, %27 and %60)"
            .to_owned());
    }
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => {}
        "socks" | "socks4" | "socks4a" | "socks5" | "socks5h" => {
            return Err(format!("a {scheme} proxy is not supported; use an http or https proxy, {EXAMPLE}"));
        }
        _ => return Err(format!("the scheme is neither http nor https; use a proxy {EXAMPLE}")),
    }
    // The errors of this parser do not repeat the value.
    let url = Url::parse(&format!("{scheme}://{rest}"))
        .map_err(|error| format!("the value is not the address of a proxy, {EXAMPLE}: {error}"))?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "the value has more than scheme, credentials, host and port, {EXAMPLE} (in a password, / ? # \
             and \\ are written %2F, %3F, %23 and %5C)"
        ));
    }
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_host = url.domain().map_or(url.has_host(), |name| name.bytes().all(in_name));
    if !is_host || url.port() == Some(0) {
        return Err(format!("the value has no usable host or port, {EXAMPLE}"));
    }
    let user = decoded(url.username()).filter(|user| !user.contains(':'));
    if user.is_none() || decoded(url.password().unwrap_or_default()).is_none() {
        return Err("the credentials cannot be decoded as UTF-8; a % sign is written %25".to_owned());
    }
    Ok(url)
}

/// Decodes a part of the credentials; `None` if it is not valid percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let text =
        text.split('%').skip(1).all(is_escape).then(|| percent_decode_str(text).decode_utf8().ok())??;
    (!text.contains(char::is_control)).then(|| text.into_owned())
}

/// Returns true if an entry of `no_proxy` covers `base`.
///
/// A name covers itself and its subdomains, with or without a leading `.` or `*.`, as in curl. A
/// port limits an entry to that port, as in Go.
fn covers(no_proxy: &str, base: &Url) -> bool {
    let port = format!(":{}", base.port_or_known_default().unwrap_or_default());
    let entries = no_proxy.split(|c: char| c == ',' || c.is_whitespace()).map(|entry| {
        let is_address = entry.parse::<IpAddr>().is_ok();
        let host = entry.strip_suffix(&port).filter(|_| !is_address).unwrap_or(entry);
        host.trim_start_matches("*.").trim_matches(['[', ']', '.'])
    });
    let entries = entries.collect::<Vec<_>>().join(",");
    let matcher = Matcher::builder().all("http://proxy").no(entries).build();
    base.as_str().parse().is_ok_and(|base: Uri| matcher.intercept(&base).is_none())
}

#[cfg(test)]
mod tests;
