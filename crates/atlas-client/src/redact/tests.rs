// Tests are read more often than they run.
#![allow(clippy::format_collect)]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::known::REDACTED;
use super::*;

/// Returns the encoded forms of a secret by name.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let each = |write: &dyn Fn(char) -> String| secret.chars().map(write).collect::<String>();
    let percent = |byte: u8| format!("%{byte:02x}");
    let all_percent: String = secret.bytes().map(percent).collect();
    let json = serde_json::Value::from(secret).to_string();
    let (user, pair) = (format!("user:{secret}"), format!("mdb_sa_id_65a1f0b2:{secret}"));
    let html = each(&|c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        c => c.to_string(),
    });
    vec![
        ("raw", secret.to_owned()),
        ("upper case", secret.to_ascii_uppercase()),
        ("percent", utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string()),
        ("percent, lower", utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string().to_lowercase()),
        ("percent, all", all_percent.clone()),
        ("percent, all, upper", all_percent.to_uppercase()),
        ("percent, twice", all_percent.replace('%', "%25")),
        ("form", url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()),
        ("JSON", json.clone()),
        ("JSON, all", secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()),
        ("JSON in JSON", serde_json::Value::from(json.as_str()).to_string()),
        ("debug", format!("{secret:?}")),
        ("debug, all", each(&|c| c.escape_unicode().to_string())),
        ("bytes", secret.bytes().map(|byte| format!("\\x{byte:02x}")).collect()),
        ("Markdown", each(&|c| if "-_.=+".contains(c) { format!("\\{c}") } else { c.to_string() })),
        ("HTML", html.clone()),
        ("HTML, all", each(&|c| format!("&#{};", u32::from(c)))),
        ("HTML, all, hexadecimal", each(&|c| format!("&#x{:x};", u32::from(c)))),
        ("HTML in JSON", serde_json::Value::from(html).to_string()),
        ("base64", STANDARD.encode(secret)),
        ("base64, URL", URL_SAFE.encode(secret)),
        ("base64, bare", STANDARD_NO_PAD.encode(secret)),
        ("pair", STANDARD.encode(&pair)),
        ("pair, URL", URL_SAFE_NO_PAD.encode(&pair)),
        ("pair of a proxy", STANDARD.encode(&user)),
        ("pair, percent", utf8_percent_encode(&STANDARD.encode(&user), NON_ALPHANUMERIC).to_string()),
    ]
}

/// Forms with separators between letters; the test searches for the letters.
fn split(secret: &str) -> Vec<(&'static str, String)> {
    let between = |c: &str| secret.chars().map(|letter| format!("{letter}{c}")).collect();
    let lines = |text: &str| {
        text.as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\r\n ")
    };
    vec![
        ("zero-width", between("\u{200b}")),
        ("direction", between("\u{202e}")),
        ("variation", between("\u{fe0f}")),
        ("NUL", between("\u{0}")),
        // A backslash after a backslash does not start an escape.
        ("escape", between(if secret.contains('\\') { "%e2%80%8b" } else { "\\u{200b}" })),
        ("line ends", between("\r\n ")),
        ("tab", between("\t")),
        ("MIME", lines(&STANDARD.encode(format!("{}:{secret}", "a".repeat(40))))),
    ]
}

fn knowing(secret: &str) -> Known {
    let mut known = Known::new();
    known.add(Kind::Configuration, secret);
    known
}

fn is_found(known: &Known, text: &str) -> bool {
    known.redacted(text, text.len()) != text
}

/// Returns true if `shown` contains eight letters of `form`, with any separators.
fn leaks(shown: &str, form: &str) -> bool {
    let letters = |text: &str| {
        let text = text.replace(REDACTED, "\u{1f512}").replace("\\u{200b}", "").replace("%e2%80%8b", "");
        text.chars().filter(|c| !c.is_whitespace() && !is_hidden(*c)).collect::<Vec<_>>()
    };
    let (shown, form) = (letters(shown), letters(form));
    form.windows(8).any(|part| shown.windows(8).any(|other| other == part))
}

const SECRETS: [&str; 6] = [
    "mdb_sa_sk_Zx0-9Qw_eR7tY",
    "5ec4e7ab-1c2d-4e5f-8a9b-0c1d2e3f4a5b",
    "eyJhbGciOiJFUzUxMiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_w",
    "p\"a'ss%41<w>&0;rd\\n/+=",
    "hü$h-pässwörd",
    "8letters",
];

#[test]
fn secret_is_redacted_in_every_form() {
    for secret in SECRETS {
        let known = knowing(secret);
        for (name, form) in forms(secret).into_iter().chain(split(secret)) {
            for text in [form.clone(), format!("Bad: \"{form}\", try again"), format!("a={form}&b={form};")] {
                let shown = known.shown(&text, 300);
                assert!(
                    shown.contains(REDACTED) && !leaks(&shown, &form),
                    "{name} of {secret}: {text:?} is {shown:?}"
                );
                assert_eq!(known.line(&shown, shown.len()), shown, "{name} of {secret}");
            }
            assert!(is_found(&known, &form), "{name}");
        }
    }
}

#[test]
fn secret_that_is_cut_shows_no_half() {
    let secret = "d0a1ca1d-4c2b-4ea5-9f1b-6f0d9c1b2a3e";
    let known = knowing(secret);
    for (name, form) in forms(secret).into_iter().chain(split(secret)) {
        for before in 0..40 {
            let text = format!("{}{form} and more", ".".repeat(before));
            let shown = known.shown(&text, 40);
            assert!(!leaks(&shown, &form), "{name}: {shown:?}");
        }
    }
    // The padding exceeds the searched part.
    let padded: String = secret.chars().map(|c| format!("{c}{}", "\u{200b}".repeat(20))).collect();
    assert!(!leaks(&known.shown(&padded, 40), secret));
    assert!(!leaks(&known.shown(&format!("{secret}{}", "x".repeat(1 << 24)), 40), secret));
}

#[test]
fn long_text_that_was_cut_elsewhere_shows_no_part() {
    // A token is longer than what is searched.
    for length in [40, 1100, 8190] {
        let secret: String =
            (0..length).map(|number: u32| char::from_digit(number * number % 23 + 10, 36).unwrap()).collect();
        let known = knowing(&secret);
        for before in 0..40 {
            for part in [secret.len() - 1, 9] {
                let text = format!("{}{}{}", ".".repeat(before), secret.repeat(40), &secret[..part]);
                let shown = known.shown(&text, 300);
                assert!(!leaks(&shown, &secret), "{shown:?}");
            }
        }
    }
}

#[test]
fn beginning_of_a_secret_at_the_cut_is_not_shown() {
    for before in 0..8 {
        let text = format!("{}{}", ".".repeat(before), "8letters".repeat(100));
        let shown = knowing("8letters").shown(&text, 300);
        assert_eq!(shown, format!("{}{REDACTED}...", ".".repeat(before)));
    }
}

#[test]
fn other_texts_stay_as_they_are() {
    let known = knowing("d0a1ca1d-4c2b-4ea5");
    for text in
        ["", "d0a1ca1d-4c2b", "d0a1ca1d 4c2b-4ea", "50% of \\ & ü", "No cluster named prod-eu: \"a b\"."]
    {
        assert_eq!(known.shown(text, 300), text);
    }
    assert_eq!(knowing("seven77").shown("seven77", 300), "seven77");
}

#[test]
fn old_tokens_make_room_and_secrets_do_not() {
    let mut known = knowing(SECRETS[0]);
    let token = |number: usize| format!("{number:08x}").repeat(1024);
    for number in 0..100 {
        known.add(Kind::Token, &token(number));
        known.add(Kind::Token, SECRETS[5]);
    }
    let is_known = |text: &str| is_found(&known, text);
    assert!(is_known(SECRETS[0]) && is_known(&token(99)) && is_known(&token(90)) && is_known(SECRETS[5]));
    assert!(!is_known(&token(1)));
    assert!(known.has(SECRETS[0]) && known.has(&token(99)) && !known.has(&token(1)));
}

#[test]
fn name_is_plain_without_secrets_and_hidden_characters() {
    register(Kind::Configuration, "plain-secret-of-a-test");
    for name in ["prod-eu", "", "a b", "\u{5d0}\u{5d1}", "\u{645}", "\u{1f512}", "plain-secret"] {
        assert_eq!(line(name), name);
    }
    for name in ["a\nb", "a\tb", "x-plain-secret-of-a-test", "plain-secret-of%2da-test"] {
        assert_ne!(line(name), name);
    }
    assert_eq!(secrets("plain-secret-of-a-test\n"), "[REDACTED]\n");
}

#[test]
fn hidden_characters_are_shown_as_escapes() {
    let ranges = [
        0..=0x1f,
        0x7f..=0x9f,
        0xad..=0xad,
        0x61c..=0x61c,
        0x180b..=0x180e,
        0x200b..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x2064,
        0x2066..=0x2069,
        0xfe00..=0xfe0f,
        0xfeff..=0xfeff,
        0xe0000..=0xe007f,
        0xe0100..=0xe01ef,
    ];
    for code in ranges.into_iter().flatten() {
        let Some(c) = char::from_u32(code) else { panic!("{code:x}") };
        let text = format!("a{c}b");
        let expected =
            if matches!(c, '\t' | '\n' | '\r') { "a b".to_owned() } else { format!("a\\u{{{code:x}}}b") };
        assert_eq!((line(&text), &*escape(&text)), (expected.clone(), &*expected), "{code:x}");
        let json = format!("{{\"x\": {}}}\n", serde_json::Value::from(text.as_str()));
        let escaped = escape_json(&json);
        assert!(!escaped.trim_end().contains(is_hidden), "{escaped:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap()["x"], text.as_str());
    }
    for text in ["abc", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}", "\u{1f512} a\u{a0}b"] {
        assert!(matches!(escape(text), Cow::Borrowed(kept) if kept == text));
    }
}

#[test]
fn line_shows_what_is_between_its_words() {
    assert_eq!(line("a\r\nb\u{2028}c"), "a  b\\u{2028}c");
    assert_eq!(line("Bearer\u{0}T1 basic\u{2029}T2"), "Bearer\\u{0}[REDACTED] basic\\u{2029}[REDACTED]");
}

#[test]
fn credentials_are_masked_and_all_else_is_kept() {
    let check = |text: &str, expected: &str| assert_eq!(without_patterns(text), expected);
    check("", "");
    check("No cluster named prod-eu: \"a b\".", "No cluster named prod-eu: \"a b\".");
    check("secret mdb_sa_sk_abc-DEF.1 is wrong", "secret [REDACTED] is wrong");
    check("https://u:mdb_sa_sk_x@host/", "https://u:[REDACTED]@host/");
    check("Authorization: Bearer eyJhb.x_y-z, Accept", "Authorization: Bearer [REDACTED], Accept");
    check("BASIC aWQ6c2VjcmV0== and more", "BASIC [REDACTED] and more");
    check("the token eyJhb.x_y-z is none", "the token [REDACTED] is none");
    check("token=eyJhb.x_y-z", "token=[REDACTED]");
    check("Bearer: Bearer T1, basic BASIC T2", "Bearer: Bearer [REDACTED], basic BASIC [REDACTED]");
    check("Bearer: \"T1\", basic \\'T2\\'", "Bearer: \"[REDACTED]\", basic \\'[REDACTED]\\'");
    check("nc=1, response=\"5f3a\", qop=auth", "nc=1, response=\"[REDACTED]\", qop=auth");
    check("nc=1,response=5f3a,qop=auth", "nc=1,response=[REDACTED],qop=auth");
    check("the bearer", "the bearer");
    check("Bearer Bearer [REDACTED]", "Bearer Bearer [REDACTED]");
    check("Basic authentication needed: 5", "Basic authentication needed: 5");
    check("ä \u{1f512} bearer T1 ö", "ä \u{1f512} bearer [REDACTED] ö");
}

proptest! {
    /// The secret is surrounded by letters that occur in no secret.
    #[test]
    fn display_shows_no_secret_on_one_bounded_line(
        secret in "[A-Wa-w0-9%&\"'+/=_.~;ä-]{10,40}",
        which in 0..34_usize,
        (before, after) in ("[xyzXYZ ,.:\u{202e}\n]{0,30}", "[xyzXYZ ,.:\u{feff}]{0,30}"),
        max in 1..120_usize,
    ) {
        let known = knowing(&secret);
        let forms: Vec<_> = forms(&secret).into_iter().chain(split(&secret)).collect();
        let (name, form) = &forms[which % forms.len()];
        let text = format!("{before} {form} {after}");
        let shown = known.shown(&text, max);
        prop_assert!(!leaks(&shown, form), "{name}: {form:?} is {shown:?}");
        prop_assert!(!shown.contains(is_hidden) && shown.chars().count() <= max + "...".len(), "{shown:?}");
        prop_assert!(shown.ends_with("...") || known.shown(&shown, max) == shown);
    }
}
