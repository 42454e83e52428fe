use super::*;

/// The password is its name.
/// Users without a configuration before.
fn users(hashes: impl IntoIterator<Item = (String, SecretString)>) -> Users {
    Users::new(hashes.into_iter().collect(), &Guesses::default()).unwrap().unwrap()
}

fn hashed(name: &str, cost: u32) -> (String, SecretString) {
    (name.to_owned(), bcrypt::hash(name, cost).unwrap().into())
}

#[tokio::test]
async fn only_the_right_password_of_the_right_name_is_known() {
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
            // The one that strangers are compared with.
            ("mallory", "bob", false),
            ("Alice", "alice", false),
        ] {
            let verdict = users.verify(name, password.as_bytes()).await;
            assert_eq!(verdict == Verdict::Right, right, "{name} {password}");
        }
    }
    assert_eq!(users.guesses.verified.lock().unwrap().len(), 2);
    for odd in [&[0xff][..], b"alice\0alice", b"alice\0"] {
        assert_eq!(users.verify("alice", odd).await, Verdict::Wrong);
    }
}

#[tokio::test]
async fn what_was_verified_needs_no_bcrypt() {
    let users = users([hashed("alice", 4)]);
    assert_eq!(users.verify("alice", b"alice").await, Verdict::Right);
    // Nobody's turn comes any more.
    users.guesses.slots.close();
    assert_eq!(users.verify("alice", b"alice").await, Verdict::Right);
    assert_eq!(users.verify("alice", b"wrong").await, Verdict::Wrong);
    assert_eq!(users.verify("mallory", b"alice").await, Verdict::Wrong);
}

#[tokio::test]
async fn verified_password_is_remembered_while_its_hash_stays() {
    let (alice, bob) = (hashed("alice", 4), hashed("bob", 4));
    let guesses = Guesses::default();
    let users = |hashes: &[(String, SecretString)]| {
        Users::new(hashes.iter().cloned().collect(), &guesses).unwrap().unwrap()
    };
    assert_eq!(users(&[alice.clone(), bob.clone()]).verify("alice", b"alice").await, Verdict::Right);
    // Without a slot, only what is remembered is right.
    guesses.slots.close();
    for (hashes, expected) in [
        (vec![bob.clone(), alice.clone()], Verdict::Right),
        (vec![alice], Verdict::Right),
        (vec![hashed("alice", 4), bob.clone()], Verdict::Wrong),
        (vec![("alice".to_owned(), bob.1)], Verdict::Wrong),
    ] {
        assert_eq!(users(&hashes).verify("alice", b"alice").await, expected, "{}", hashes.len());
    }
}

#[tokio::test]
async fn a_wrong_password_takes_as_long_whatever_its_hash_costs() {
    let users = users([hashed("quick", 4), hashed("slow", 9)]);
    let names = ["slow", "quick", "nobody"];
    let mut fastest = [std::time::Duration::MAX; 3];
    // In turns, since the machine may have other things to do now and then.
    for _ in 0..5 {
        for (name, fastest) in names.iter().zip(&mut fastest) {
            let start = std::time::Instant::now();
            assert_eq!(users.verify(name, b"wrong").await, Verdict::Wrong);
            *fastest = start.elapsed().min(*fastest);
        }
    }
    // The one would take a thirty-second of the other.
    assert!(fastest.iter().all(|time| *time > fastest[0] / 6), "{names:?}: {fastest:?}");
}

#[tokio::test]
async fn who_hangs_up_keeps_the_slot_until_it_is_over() {
    let users = users([hashed("alice", 10)]);
    for _ in 0..5 {
        let hangs_up = tokio::time::timeout(std::time::Duration::from_millis(5), users.verify("alice", b"x"));
        assert!(hangs_up.await.is_err());
        assert_eq!(users.guesses.slots.available_permits(), 1);
    }
}

#[tokio::test]
async fn guesses_of_one_name_leave_a_slot_to_others() {
    let hashes = vec![hashed("alice", 10), hashed("bob", 4)];
    for stranger in ["alice", "mallory"] {
        let users = users(hashes.clone());
        let guess = || users.verify(stranger, b"wrong");
        let guesses = async { tokio::join!(guess(), guess(), guess(), guess(), guess()) };
        let bob = async {
            tokio::task::yield_now().await;
            assert_eq!(users.guesses.slots.available_permits(), 1, "{stranger}");
            assert_eq!(users.verify("bob", b"bob").await, Verdict::Right, "{stranger}");
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
async fn no_crowd_waits_for_its_turn() {
    let guesses = Guesses::default();
    let users = Users::new(BTreeMap::from([hashed("alice", 4)]), &guesses).unwrap().unwrap();
    assert_eq!(users.verify("alice", b"alice").await, Verdict::Right);
    let crowd = guesses.occupied();
    assert_eq!(crowd.len(), 16);
    // Who was verified before waits for nobody.
    assert_eq!(users.verify("alice", b"alice").await, Verdict::Right);
    assert_eq!(users.verify("alice", b"wrong").await, Verdict::Busy);
    drop(crowd);
    assert_eq!(users.verify("alice", b"wrong").await, Verdict::Wrong);
    let same: Vec<_> = (0..9).filter_map(|_| guesses.add("alice")).collect();
    assert_eq!(same.len(), 4);
    assert_eq!(users.verify("alice", b"wrong").await, Verdict::Busy);
    assert_eq!(users.verify("mallory", b"wrong").await, Verdict::Wrong);
}

#[test]
fn strangers_take_as_long_as_the_slowest() {
    let users = users([hashed("a", 4), hashed("b", 6), hashed("c", 5)]);
    assert_eq!(cost(users.slowest.expose_secret()), Some(6));
}

#[test]
fn what_is_no_hash_is_refused_by_its_name() {
    let hash = bcrypt::hash("x", 4).unwrap();
    let rest = &hash[7..];
    assert!(Users::new(BTreeMap::new(), &Guesses::default()).unwrap().is_none());
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
        let refused = Users::new(
            BTreeMap::from([hashed("ok", 4), ("alice".to_owned(), wrong.to_owned().into())]),
            &Guesses::default(),
        );
        let (name, problem) = refused.err().unwrap();
        assert_eq!(name, "alice", "{wrong}");
        assert!(problem.contains("should be a bcrypt hash"), "{problem}");
    }
}

#[test]
fn hash_of_too_high_a_cost_is_refused() {
    let hash = |cost| {
        ("alice".to_owned(), format!("$2y${cost}${}", "a".repeat(21) + "u" + &"a".repeat(30) + "u").into())
    };
    let users = |cost| Users::new(BTreeMap::from([hashed("ok", 4), hash(cost)]), &Guesses::default());
    assert!(users(14).is_ok_and(|users| users.is_some()));
    for cost in [15, 31] {
        let (name, problem) = users(cost).err().unwrap();
        assert!(
            name == "alice" && problem.contains(&format!("a cost of {cost}; the maximum is 14")),
            "{problem}"
        );
    }
}
