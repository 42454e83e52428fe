//! The file, and those that it names, as they change.

use super::*;

#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    let folder = folder();
    let web = load(folder.path(), "basic_auth_users: {}").unwrap();
    let file = folder.path().join("web.yml");
    fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    assert!(web.last_read.lock().await.changed_hash().is_some());
    let error = web.read_again(Occasion::ByItself).await.unwrap_err();
    assert!(error.contains("not a regular file"), "{error}");
}

#[tokio::test]
async fn the_same_again_lets_nobody_go() {
    let folder = folder();
    let web = load(folder.path(), "basic_auth_users: {}").unwrap();
    let mut follow = web.follow();
    web.read_again(Occasion::ByItself).await.unwrap();
    assert!(!follow.has_changed().unwrap());
    fs::write(folder.path().join("web.yml"), "a").unwrap();
    assert!(web.read_again(Occasion::ByItself).await.is_err());
    fs::write(folder.path().join("web.yml"), "basic_auth_users: {}").unwrap();
    web.read_again(Occasion::ByItself).await.unwrap();
    assert!(!follow.has_changed().unwrap());
    fs::write(folder.path().join("web.yml"), "rate_limit: {}").unwrap();
    web.read_again(Occasion::ByItself).await.unwrap();
    follow.changed().await.unwrap();
}

#[tokio::test]
async fn what_has_changed_is_seen_and_a_file_that_is_refused_changes_nothing() {
    let folder = folder();
    let yaml = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}";
    let web = load(folder.path(), yaml).unwrap();
    let has_changed = async || web.last_read.lock().await.changed_hash().is_some();
    assert!(!has_changed().await);
    // The certificate alone.
    let other = self::folder();
    fs::copy(other.path().join("cert.pem"), folder.path().join("cert.pem")).unwrap();
    assert!(has_changed().await);
    let error = web.read_again(Occasion::ByItself).await.unwrap_err();
    assert!(error.contains("key_file is not the key of cert_file"), "{error}");
    assert!(
        web.is_encrypted() && !has_changed().await,
        "once refused, it is not read again until it changes"
    );
    fs::copy(other.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    assert!(has_changed().await);
    web.read_again(Occasion::ByItself).await.unwrap();
    assert!(!has_changed().await);
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    assert!(has_changed().await);
    assert!(web.read_again(Occasion::ByItself).await.is_err());
    fs::write(folder.path().join("web.yml"), "").unwrap();
    assert!(has_changed().await);
    web.read_again(Occasion::Asked).await.unwrap();
    assert!(!web.is_encrypted() && !has_changed().await);
}

#[tokio::test]
async fn what_would_open_the_pages_is_not_done_unasked() {
    let folder = folder();
    let (tls, users) = (
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n",
        format!("basic_auth_users: {{alice: {HASH}}}\n"),
    );
    let verified =
        tls.replace('}', ", client_ca_file: cert.pem, client_auth_type: RequireAndVerifyClientCert}");
    let if_given = verified.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    let all = verified.clone().replace('}', ", client_allowed_sans: [a]}") + &users;
    // One of the names is asked of everyone.
    let named = if_given.replace('}', ", client_allowed_sans: [a]}");
    assert_eq!(load(folder.path(), &named).unwrap().certificates(), "verified");
    for (less, said) in [
        (
            String::new(),
            "no longer encrypts, nor asks for a password, nor verifies the certificates of clients, which",
        ),
        (all.replace(&users, ""), "no longer asks for a password, which"),
        (tls.to_owned() + &users, "no longer verifies the certificates of clients, which"),
        (if_given + &users, "no longer verifies the certificates of clients, which"),
        (verified + &users, "no longer looks for names of client_allowed_sans, which"),
    ] {
        let web = load(folder.path(), &all).unwrap();
        assert_eq!((web.is_encrypted(), web.users(), web.certificates()), (true, 1, "verified"));
        let kept = web.follow().borrow().clone();
        fs::write(folder.path().join("web.yml"), &less).unwrap();
        let error = web.read_again(Occasion::ByItself).await.unwrap_err();
        assert!(error.contains(said), "{less}\n{error}");
        assert!(
            Arc::ptr_eq(&kept, &web.follow().borrow()) && web.last_read.lock().await.changed_hash().is_none()
        );
        // As it was, all is well; and what somebody wants is done.
        fs::write(folder.path().join("web.yml"), &all).unwrap();
        web.read_again(Occasion::ByItself).await.unwrap();
        fs::write(folder.path().join("web.yml"), &less).unwrap();
        web.read_again(Occasion::Asked).await.unwrap();
        assert!(!Arc::ptr_eq(&kept, &web.follow().borrow()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_being_written_is_not_read_yet() {
    let folder = folder();
    let web = load(folder.path(), "").unwrap();
    let writing = async {
        // Never at the moment of a look.
        tokio::time::sleep(WATCH_INTERVAL / 2).await;
        for length in 1..6 {
            fs::write(folder.path().join("web.yml"), "#".repeat(length)).unwrap();
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
        tokio::time::Instant::now()
    };
    let (changed, written) =
        tokio::join!(async { (web.changed().await, tokio::time::Instant::now()) }, writing);
    assert!((written..written + WATCH_INTERVAL * 2).contains(&changed.1), "{changed:?} {written:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_hangs_is_waited_for_and_none_is_begun_beside_it() {
    let folder = folder();
    let web = load(folder.path(), "").unwrap();
    let hangs = web.last_read.lock().await;
    fs::write(folder.path().join("web.yml"), "a").unwrap();
    let start = tokio::time::Instant::now();
    let error = web.read_again(Occasion::Asked).await.unwrap_err();
    assert_eq!(
        (error.as_str(), start.elapsed()),
        ("reading the web configuration takes too long", READ_TIMEOUT)
    );
    drop(hangs);
    let error = web.read_again(Occasion::Asked).await.unwrap_err();
    assert!(error.contains("expected `key: value` entries"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_renewed_makes_nobody_wait_who_was_let_in() {
    let (folder, other) = (folder(), self::folder());
    let tls = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n";
    let web = load(folder.path(), &format!("{tls}basic_auth_users: {{alice: {HASH}}}\n")).unwrap();
    let in_force = || web.follow().borrow().clone();
    let before = in_force();
    assert_eq!(before.users.as_ref().unwrap().verify("alice", b"secret").await, Verdict::Right);
    for name in ["cert.pem", "key.pem"] {
        fs::copy(other.path().join(name), folder.path().join(name)).unwrap();
    }
    web.read_again(Occasion::ByItself).await.unwrap();
    let now = in_force();
    assert!(!Arc::ptr_eq(&before, &now));
    let _busy = web.guesses.occupied();
    let users = now.users.as_ref().unwrap();
    assert_eq!(users.verify("alice", b"secret").await, Verdict::Right);
    assert_eq!(users.verify("alice", b"wrong").await, Verdict::Busy);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_at_while_a_reading_hangs() {
    let folder = folder();
    let web = load(folder.path(), "").unwrap();
    let hangs = web.last_read.lock().await;
    let waited = tokio::time::timeout(READ_TIMEOUT * 10, web.changed()).await;
    assert!(waited.is_err());
    drop(hangs);
    fs::write(folder.path().join("web.yml"), "#").unwrap();
    web.changed().await;
}
