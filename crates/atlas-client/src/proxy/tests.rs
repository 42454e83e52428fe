use std::str::FromStr;

use super::*;

const BASE: &str = "https://cloud.mongodb.com/";

/// Returns the proxy for `base` with its variable, and the variables with warnings.
fn of(base: &str, environment: &[(&str, &str)]) -> Result<(Option<String>, Vec<String>), String> {
    let set = |name: &str| {
        let value = environment.iter().find(|(other, _)| *other == name)?.1;
        Some(value).filter(|value| !value.is_empty())
    };
    let mut warnings = Vec::new();
    let warn = |variable: &str, _| warnings.push(variable.to_owned());
    let proxy = Proxy::from_environment(set, &Url::from_str(base).unwrap(), warn)?;
    Ok((proxy.map(|proxy| format!("{} {proxy}", proxy.variable())), warnings))
}

#[test]
fn first_variable_that_is_not_empty_names_the_proxy() {
    let (a, b, c, d) = ("http://a:1", "http://b:2", "http://c:3", "http://d:4");
    let all = [("HTTPS_PROXY", a), ("https_proxy", b), ("ALL_PROXY", c), ("all_proxy", d)];
    for (skip, expected) in all.iter().enumerate() {
        let mut environment = all.to_vec();
        for (_, value) in &mut environment[..skip] {
            *value = "";
        }
        assert_eq!(of(BASE, &environment), Ok((Some(format!("{} {}", expected.0, expected.1)), Vec::new())));
        assert_eq!(of(BASE, &environment[skip..]), of(BASE, &environment));
    }
    for environment in [&[][..], &[("HTTPS_PROXY", "")], &[("HTTP_PROXY", a), ("http_proxy", b)]] {
        assert_eq!(of(BASE, environment), Ok((None, Vec::new())));
    }
    // Requests over plain http stay on this machine.
    assert_eq!(of("http://127.0.0.1:9/", &all), Ok((None, Vec::new())));
}

#[test]
fn address_of_a_proxy_is_shown_without_credentials() {
    for (value, shown) in [
        ("http://proxy.example.org:3128", "http://proxy.example.org:3128"),
        ("http://proxy.example.org:3128/", "http://proxy.example.org:3128"),
        ("proxy.example.org:3128", "http://proxy.example.org:3128"),
        ("proxy", "http://proxy:80"),
        ("HTTPS://Proxy.Example.Org", "https://proxy.example.org:443"),
        ("10.0.0.1:3128", "http://10.0.0.1:3128"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://jane@proxy:3128", "http://proxy:3128"),
        ("jane:hush@proxy:3128", "http://proxy:3128"),
        ("http://jane:hu@sh@proxy:3128", "http://proxy:3128"),
        ("http://jane:hu%40sh%25%c3%a4@proxy:3128", "http://proxy:3128"),
        ("http://jane:hu!$&()*+,;=:sh~@proxy:3128", "http://proxy:3128"),
    ] {
        let url = address(value).unwrap_or_else(|error| panic!("{value}: {error}"));
        let proxy = Proxy { url, variable: "HTTPS_PROXY" };
        assert_eq!(proxy.to_string(), shown, "{value}");
        assert!(!format!("{proxy:?}").contains("hu"), "{proxy:?}");
        // The client reads it as well; it would connect directly otherwise.
        assert!(reqwest::Proxy::all(proxy.url.clone()).is_ok());
    }
}

#[test]
fn value_that_cannot_be_used_is_refused_by_name() {
    for (value, problem) in [
        (" http://proxy:3128", "white space"),
        ("http://proxy:3128\n", "white space"),
        ("http://jane:hu sh@proxy:3128", "white space"),
        ("\u{feff}http://proxy:3128", "white space"),
        ("  ", "white space"),
        ("http://pro\u{7}xy:3128", "control character"),
        ("\"http://jane:hush@proxy:3128\"", "quotes"),
        ("'http://proxy:3128", "quotes"),
        ("\u{201c}http://proxy:3128\u{201d}", "quotes"),
        ("`http://proxy:3128`", "quotes"),
        ("socks://proxy:1080", "a socks proxy is not supported"),
        ("socks4://proxy:1080", "a socks4 proxy is not supported"),
        ("SOCKS5://jane:hush@proxy:1080", "a socks5 proxy is not supported"),
        ("socks5h://proxy:1080", "a socks5h proxy is not supported"),
        ("ftp://proxy:3128", "neither http nor https"),
        ("hush://proxy:3128", "neither http nor https"),
        ("://proxy:3128", "neither http nor https"),
        ("http://", "not the address of a proxy"),
        ("http://proxy:port", "not the address of a proxy"),
        ("http://proxy:99999", "not the address of a proxy"),
        ("http://jane:hu/sh@proxy:3128", "not the address of a proxy"),
        ("http://jane:hu#sh@proxy:3128", "not the address of a proxy"),
        ("http://jane:12/hush@proxy:3128", "more than scheme"),
        ("http://jane:12?hush@proxy:3128", "more than scheme"),
        ("http://CORP\\jane:hush@proxy:3128", "%5C"),
        ("http://proxy:3128/proxy.pac", "more than scheme"),
        ("http://proxy:0", "no usable host or port"),
        ("${PROXY}", "no usable host"),
        ("http://$PROXY:3128", "no usable host"),
        ("http://pro,xy:3128", "no usable host"),
        ("http://jane:100%hush@proxy:3128", "credentials cannot be decoded"),
        ("http://jane:hush%@proxy:3128", "credentials cannot be decoded"),
        ("http://jane:hush%4@proxy:3128", "credentials cannot be decoded"),
        ("http://jane:hush%e4@proxy:3128", "credentials cannot be decoded"),
        ("http://jane:hush%0d@proxy:3128", "credentials cannot be decoded"),
        ("http://ja%3Ane:hush@proxy:3128", "credentials cannot be decoded"),
    ] {
        for variable in HTTPS {
            let error = of(BASE, &[(variable, value)]).expect_err(value);
            assert!(
                error.starts_with(&format!("{variable}: ")) && error.contains(problem),
                "{value}: {error}"
            );
            assert!(!error.contains("hu") && error.lines().count() == 1, "{value}: {error}");
            assert_eq!(of("http://127.0.0.1:9/", &[(variable, value)]), Err(error), "for any base URL");
        }
        // An unused variable causes a warning.
        for variable in &HTTPS[1..] {
            let read = of(BASE, &[("HTTPS_PROXY", "http://a:1"), (variable, value)]);
            let warned = vec![(*variable).to_owned()];
            assert_eq!(read, Ok((Some("HTTPS_PROXY http://a:1".to_owned()), warned)), "{value}");
        }
    }
}

#[test]
fn no_proxy_is_matched_as_by_other_programs() {
    let is_direct = |base: &str, value: &str| {
        of(base, &[("HTTPS_PROXY", "http://a:1"), ("no_proxy", value)]).unwrap().0.is_none()
    };
    for value in [
        "*",
        "cloud.mongodb.com",
        "Cloud.MongoDB.com",
        "mongodb.com",
        ".mongodb.com",
        "*.mongodb.com",
        "cloud.mongodb.com.",
        "cloud.mongodb.com:443",
        "localhost, 10.0.0.0/8,mongodb.com",
        "localhost mongodb.com",
        ",,mongodb.com,",
    ] {
        assert!(is_direct(BASE, value), "{value}");
    }
    for value in [
        "",
        ",",
        "b.com",
        "mongodb.org",
        "loud.mongodb.com",
        "x.cloud.mongodb.com",
        "mongodb.com:80",
        "::1",
        "https://cloud.mongodb.com",
        "10.0.0.0/33",
        "cloud.*",
        "<local>",
        "mongodb.com:https",
    ] {
        assert!(!is_direct(BASE, value), "{value}");
    }
    let [four, six] = ["https://10.1.2.3:8443/", "https://[fd00::1]/"];
    for (base, value) in [
        (four, "10.1.2.3"),
        (four, "10.1.2.3:8443"),
        (four, "10.0.0.0/8"),
        (four, "0.0.0.0/0"),
        (six, "fd00::1"),
        (six, "[fd00::1]"),
        (six, "[fd00::1]:443"),
        (six, "fd00::/8"),
        ("https://[fd00::443]/", "fd00::443"),
    ] {
        assert!(is_direct(base, value), "{base} {value}");
    }
    for (base, value) in [
        (four, "10.1.2.4"),
        (four, "10.1.2.3:443"),
        (four, "10.1.2.3/33"),
        (four, "10.2.0.0/16"),
        (four, "1.2.3"),
        (six, "fd01::/16"),
        (six, "0.0.0.0/0"),
    ] {
        assert!(!is_direct(base, value), "{base} {value}");
    }
    // An empty one does not hide the other.
    let environment = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", ""), ("no_proxy", "*")];
    assert_eq!(of(BASE, &environment), Ok((None, Vec::new())));
    let error = of(BASE, &[("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", "\"*\"")]).unwrap_err();
    assert!(error.starts_with("NO_PROXY: ") && error.contains("quotes"), "{error}");
}
