use super::*;

const WIDE: Terminal = Terminal { width: Some(120), color: false };

fn terminal(width: u16) -> Terminal {
    Terminal { width: Some(width), color: false }
}

fn row(project: &str, cluster: Option<&str>) -> Row {
    Row { project: Some(project.to_owned()), cluster_name: cluster.map(str::to_owned), ..Row::default() }
}

fn failed(project: &str, cluster: Option<&str>, hint: &str) -> Row {
    row(project, cluster).with(CheckStatus::Failed, hint)
}

fn pattern(project: &str, pattern: &str) -> Row {
    row(project, None).pattern(pattern, "no match")
}

fn excluded(project: &str) -> Row {
    row(project, Some("free")).with(CheckStatus::Excluded, "the cluster has no exports")
}

fn report() -> Report {
    let rows = vec![
        failed("a", None, "do this"),
        failed("b", None, "do this"),
        failed("c", None, "do that"),
        row("d", Some("prod")).note("fine"),
        pattern("d", "none-*"),
    ];
    Report { rows, ..Report::default() }
}

#[test]
fn repeated_hint_is_written_once() {
    let table = report().text(WIDE);
    let hint: Vec<_> = table.lines().skip(1).take(5).map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(hint, ["do this", "as above", "do that", "fine", "no match"], "{table}");
    assert!(
        table.ends_with(
            "\n1 known cluster can be read. 3 projects or organizations cannot be read. 1 warning.\n"
        ),
        "{table}"
    );
}

#[test]
fn narrow_terminal_gets_a_list_of_whole_words() {
    let list = report().text(terminal(80));
    assert!(list.starts_with("a: failed\n    do this\nb: failed\n    as above\n"), "{list}");
    assert!(list.contains("d / prod: ok\n    fine\n"), "{list}");
    assert!(report().text(WIDE).starts_with("PROJECT "));
}

#[test]
fn table_in_a_pipe_has_a_line_for_each_row() {
    let hint = "a long hint ".repeat(20);
    let report = Report { rows: vec![failed("a", Some("prod"), &hint)], ..Report::default() };
    let table = report.text(Terminal::default());
    assert!(table.lines().nth(1).unwrap().ends_with(hint.trim_end()), "{table}");
}

#[test]
fn colors_change_only_the_status() {
    let colors = ["\x1b[32mok", "\x1b[33mwarning", "\x1b[31mfailed", "\x1b[2mexcluded"];
    let mut report = report();
    report.rows.push(excluded("e"));
    for terminal in [Terminal::default(), terminal(80), WIDE] {
        let (plain, colored) = (report.text(terminal), report.text(Terminal { color: true, ..terminal }));
        assert!(!plain.contains('\x1b'), "{plain}");
        for text in [&plain, &colored] {
            assert!(!text.replace(['\n', '\x1b'], "").contains(atlas_client::redact::is_hidden), "{text:?}");
        }
        for color in colors {
            assert!(colored.contains(&format!("{color}\x1b[0m")), "{color:?} in {colored:?}");
        }
        let bare = ["32", "33", "31", "2", "0"]
            .iter()
            .fold(colored, |text, code| text.replace(&format!("\x1b[{code}m"), ""));
        assert_eq!(bare, plain);
    }
}

#[test]
fn list_breaks_no_url_path_or_command() {
    let url = "https://cloud.mongodb.com/v2/32b6e34b3d91647abb20e7b8#/security/network/accessList";
    let command = "`openssl x509 -in /etc/ssl/proxy.pem -noout -dates`";
    let hint = format!(
        "compare the certificate of the proxy with {url} or print the dates of that certificate: \
         {command}, and then add it"
    );
    let long = "a project with a name of many words, which does not fit into the line of a terminal";
    let mut report = Report { rows: vec![failed(long, Some("prod"), &hint)], ..Report::default() };
    report.rows[0].error_code = Some("CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API".to_owned());
    for terminal in [terminal(80), Terminal { color: true, ..terminal(80) }] {
        let list = report.text(terminal).replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(
            list,
            format!(
                "a project with a name of many words, which does not fit into the line of a\n        \
                 terminal / prod: failed (CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API)\n    \
                 compare the certificate of the proxy with\n    {url}\n    \
                 or print the dates of that certificate:\n    {command}, and then add it\n\n\
                 1 of 1 cluster cannot be read.\n"
            )
        );
        assert!(list.lines().filter(|line| !line.contains(url)).all(|line| line.len() <= 80), "{list}");
    }
    assert!(report.text(WIDE).contains(url), "{}", report.text(WIDE));
    // A single backtick of Atlas does not suppress the line breaks, and wide letters count twice.
    let mut text = String::new();
    wrap(&mut text, "one ` two three", 10, [0, 2]);
    wrap(&mut text, "\u{6771}\u{4eac} \u{5927}\u{962a}", 8, [0, 2]);
    assert_eq!(text, "one ` two\n  three\n\u{6771}\u{4eac}\n  \u{5927}\u{962a}\n");
}

#[test]
fn report_without_clusters_is_not_ok() {
    let is_ok = |rows: &[Row]| Report { rows: rows.to_vec(), ..Report::default() }.is_ok();
    assert!(!is_ok(&[]));
    assert!(!is_ok(&[pattern("a", "x-*")]), "a pattern is no cluster");
    assert!(!is_ok(&[excluded("a")]));
    assert!(is_ok(&[row("a", Some("x")).warn("w")]));
    assert!(!is_ok(&[row("a", Some("x")), failed("b", Some("y"), "")]));
}

#[test]
fn names_are_escaped_for_the_terminal() {
    let name = "a\u{2061}b\u{1b}]0;c\u{9b}d";
    let shown = "a\\u{2061}b\\u{1b}]0;c\\u{9b}d";
    let named = failed(name, Some("x\u{202e}y"), "\u{200f}z");
    let report = Report { rows: vec![named], ..Report::default() };
    let text = report.text(Terminal { color: true, ..WIDE });
    let line = text.lines().nth(1).unwrap();
    assert!(
        line.starts_with(&format!("{shown}  x\\u{{202e}}y  ")) && line.contains("\x1b[31mfailed\x1b[0m"),
        "{line:?}"
    );
    let list = report.text(terminal(80));
    assert!(list.starts_with(&format!("{shown} / x\\u{{202e}}y: failed\n    \\u{{200f}}z\n")), "{list:?}");
    let json = report.json();
    assert!(!json.replace('\n', "").contains(atlas_client::redact::is_hidden), "{json:?}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"][0]["project"], name);
}
