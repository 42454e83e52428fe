use axum::http::HeaderValue;

use super::*;

fn users(hashes: impl IntoIterator<Item = (String, SecretString)>) -> BasicAuth {
    BasicAuth::new(hashes.into_iter().collect(), &PasswordVerifier::default()).unwrap().unwrap()
}

/// A user whose password is the name.
fn hashed(name: &str, cost: u32) -> (String, SecretString) {
    (name.to_owned(), bcrypt::hash(name, cost).unwrap().into())
}

#[tokio::test]
async fn only_right_password_of_known_name_is_accepted() {
    let users = users([hashed("alice", 4), hashed("bob", 5)]);
    // Twice: what was verified is remembered.
    for _ in 0..2 {
        for (name, password, right) in [
            ("alice", "alice", true),
            ("bob", "bob", true),
            ("alice", "bob", false),
            ("bob", "alice", false),
            ("alice", "", false),
            ("", "bob", false),
            // The hash that unknown names are verified against.
            ("mallory", "bob", false),
            ("Alice", "alice", false),
        ] {
            let result = users.verify(name, password.as_bytes()).await;
            assert_eq!(result == AuthResult::Accepted, right, "{name} {password}");
        }
    }
    assert_eq!(users.verifier.verified.lock().unwrap().len(), 2);
    for odd in [&[0xff][..], b"alice\0alice", b"alice\0"] {
        assert_eq!(users.verify("alice", odd).await, AuthResult::Rejected);
    }
}

#[tokio::test]
async fn verified_password_is_remembered_while_its_hash_stays() {
    let (alice, bob) = (hashed("alice", 4), hashed("bob", 4));
    let verifier = PasswordVerifier::default();
    let users = |hashes: &[(String, SecretString)]| {
        BasicAuth::new(hashes.iter().cloned().collect(), &verifier).unwrap().unwrap()
    };
    assert_eq!(users(&[alice.clone(), bob.clone()]).verify("alice", b"alice").await, AuthResult::Accepted);
    // Without a permit, only a remembered password is accepted.
    verifier.permits.close();
    for (hashes, expected) in [
        (vec![bob.clone(), alice.clone()], AuthResult::Accepted),
        (vec![alice], AuthResult::Accepted),
        (vec![hashed("alice", 4), bob.clone()], AuthResult::Rejected),
        (vec![("alice".to_owned(), bob.1)], AuthResult::Rejected),
    ] {
        assert_eq!(users(&hashes).verify("alice", b"alice").await, expected, "{}", hashes.len());
    }
}

#[tokio::test]
async fn wrong_password_takes_equal_time_for_any_name() {
    let users = users([hashed("quick", 4), hashed("slow", 9)]);
    let names = ["slow", "quick", "unknown"];
    let mut fastest = [std::time::Duration::MAX; 3];
    // In turns, since the machine may have other things to do now and then.
    for _ in 0..5 {
        for (name, fastest) in names.iter().zip(&mut fastest) {
            let start = std::time::Instant::now();
            assert_eq!(users.verify(name, b"wrong").await, AuthResult::Rejected);
            *fastest = start.elapsed().min(*fastest);
        }
    }
    // The one would take a thirty-second of the other.
    assert!(fastest.iter().all(|time| *time > fastest[0] / 6), "{names:?}: {fastest:?}");
}

#[tokio::test]
async fn verification_of_gone_client_keeps_its_permit() {
    let users = users([hashed("alice", 10)]);
    for _ in 0..5 {
        let gone = tokio::time::timeout(std::time::Duration::from_millis(5), users.verify("alice", b"x"));
        assert!(gone.await.is_err());
        assert_eq!(users.verifier.permits.available_permits(), 1);
    }
}

#[tokio::test]
async fn guesses_of_one_name_leave_a_permit_to_others() {
    let hashes = vec![hashed("alice", 10), hashed("bob", 4)];
    for stranger in ["alice", "mallory"] {
        let users = users(hashes.clone());
        let guess = || users.verify(stranger, b"wrong");
        let guesses = async { tokio::join!(guess(), guess(), guess(), guess(), guess()) };
        let bob = async {
            tokio::task::yield_now().await;
            assert_eq!(users.verifier.permits.available_permits(), 1, "{stranger}");
            assert_eq!(users.verify("bob", b"bob").await, AuthResult::Accepted, "{stranger}");
        };
        let others = tokio::select! {
            biased;
            others = guesses => Some(others),
            () = bob => None,
        };
        assert_eq!(others, None, "{stranger}");
    }
}

#[tokio::test]
async fn verifications_over_limit_are_busy() {
    let verifier = PasswordVerifier::default();
    let users = BasicAuth::new(BTreeMap::from([hashed("alice", 4)]), &verifier).unwrap().unwrap();
    assert_eq!(users.verify("alice", b"alice").await, AuthResult::Accepted);
    let pending = verifier.occupied();
    assert_eq!(pending.len(), 16);
    // A remembered password needs no permit.
    assert_eq!(users.verify("alice", b"alice").await, AuthResult::Accepted);
    assert_eq!(users.verify("alice", b"wrong").await, AuthResult::Busy);
    drop(pending);
    assert_eq!(users.verify("alice", b"wrong").await, AuthResult::Rejected);
    let same: Vec<_> = (0..9).filter_map(|_| verifier.add("alice")).collect();
    assert_eq!(same.len(), 4);
    assert_eq!(users.verify("alice", b"wrong").await, AuthResult::Busy);
    assert_eq!(users.verify("mallory", b"wrong").await, AuthResult::Rejected);
}

#[test]
fn invalid_hash_is_refused_by_name() {
    let hash = bcrypt::hash("x", 4).unwrap();
    let rest = &hash[7..];
    assert!(BasicAuth::new(BTreeMap::new(), &PasswordVerifier::default()).unwrap().is_none());
    for prefix in ["$2y$04$", "$2a$04$", "$2b$31$"] {
        assert!(cost(&format!("{prefix}{rest}")).is_some(), "{prefix}");
    }
    for wrong in [
        "",
        "secret",
        "$1$04$",
        &format!("$2y$03${rest}"),
        &format!("$2y$32${rest}"),
        &hash[..59],
        &format!("$2y$12${}", "!".repeat(53)),
        &format!("$2y$04${}*", &rest[..52]),
        // Bits are left over in the last letter of the salt, and of the hash.
        &format!("$2y$04${}9{}", &rest[..21], &rest[22..]),
        &format!("$2y$04${}9", &rest[..52]),
    ] {
        let refused = BasicAuth::new(
            BTreeMap::from([hashed("ok", 4), ("alice".to_owned(), wrong.to_owned().into())]),
            &PasswordVerifier::default(),
        );
        let (name, problem) = refused.err().unwrap();
        assert_eq!(name, "alice", "{wrong}");
        assert!(problem.contains("should be a bcrypt hash"), "{problem}");
    }
}

#[test]
fn hash_above_max_cost_is_refused() {
    let hash = |cost| {
        ("alice".to_owned(), format!("$2y${cost}${}", "a".repeat(21) + "u" + &"a".repeat(30) + "u").into())
    };
    let users =
        |cost| BasicAuth::new(BTreeMap::from([hashed("ok", 4), hash(cost)]), &PasswordVerifier::default());
    assert!(users(14).is_ok_and(|users| users.is_some()));
    for cost in [15, 31] {
        let (name, problem) = users(cost).err().unwrap();
        assert!(
            name == "alice" && problem.contains(&format!("a cost of {cost}; the maximum is 14")),
            "{problem}"
        );
    }
}

#[test]
fn credentials_are_those_of_rfc_7617() {
    let read = |value: &str| {
        let headers = [(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())];
        credentials(&headers.into_iter().collect())
    };
    let alice = |password: &[u8]| Some(("alice".to_owned(), password.to_owned()));
    assert_eq!(read("Basic YWxpY2U6c2VjcmV0"), alice(b"secret"));
    assert_eq!(read("bASIC YWxpY2U6c2VjcmV0"), alice(b"secret"));
    // The first colon ends the name.
    assert_eq!(read(&format!("Basic {}", BASE64_STANDARD.encode("alice:a:b:"))), alice(b"a:b:"));
    assert_eq!(read(&format!("Basic {}", BASE64_STANDARD.encode("alice:"))), alice(b""));
    let odd = read(&format!("Basic {}", BASE64_STANDARD.encode(b"\xff:\xfe")));
    assert_eq!(odd, Some(("\u{fffd}".to_owned(), vec![0xfe])));
    for invalid in ["", "Basic", "Basic ", "Basic !", "Basic YWxpY2U=", "Bearer YWxpY2U6c2VjcmV0"] {
        assert_eq!(read(invalid), None, "{invalid}");
    }
    assert_eq!(credentials(&HeaderMap::new()), None);
}
