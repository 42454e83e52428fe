use std::fs;

use super::*;
use crate::basic_auth::AuthResult;
use crate::client_cert::ClientCertRequirement;
use crate::tests::{HASH, folder, load};

#[tokio::test]
async fn pipe_is_refused_without_blocking() {
    let folder = folder();
    let web = load(folder.path(), "basic_auth_users: {}").unwrap();
    let file = folder.path().join("web.yml");
    fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    assert!(web.last_read.lock().await.changed().is_some());
    let error = web.reload(ReloadTrigger::FileChange).await.unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

#[tokio::test]
async fn unchanged_content_keeps_the_configuration() {
    let folder = folder();
    let web = load(folder.path(), "basic_auth_users: {}").unwrap();
    let mut follow = web.subscribe();
    web.reload(ReloadTrigger::FileChange).await.unwrap();
    assert!(!follow.has_changed().unwrap());
    fs::write(folder.path().join("web.yml"), "a").unwrap();
    assert!(web.reload(ReloadTrigger::FileChange).await.is_err());
    fs::write(folder.path().join("web.yml"), "basic_auth_users: {}").unwrap();
    web.reload(ReloadTrigger::FileChange).await.unwrap();
    assert!(!follow.has_changed().unwrap());
    fs::write(folder.path().join("web.yml"), "rate_limit: {}").unwrap();
    web.reload(ReloadTrigger::FileChange).await.unwrap();
    follow.changed().await.unwrap();
}

#[tokio::test]
async fn refused_change_keeps_the_last_good_configuration() {
    let folder = folder();
    let yaml = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}";
    let web = load(folder.path(), yaml).unwrap();
    let has_changed = async || web.last_read.lock().await.changed().is_some();
    assert!(!has_changed().await);
    // The certificate alone.
    let other = crate::tests::folder();
    fs::copy(other.path().join("cert.pem"), folder.path().join("cert.pem")).unwrap();
    assert!(has_changed().await);
    let error = web.reload(ReloadTrigger::FileChange).await.unwrap_err().to_string();
    assert!(error.contains("key_file is not the key of cert_file"), "{error}");
    assert!(
        web.is_encrypted() && !has_changed().await,
        "once refused, it is not read again until it changes"
    );
    fs::copy(other.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    assert!(has_changed().await);
    web.reload(ReloadTrigger::FileChange).await.unwrap();
    assert!(!has_changed().await);
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    assert!(has_changed().await);
    assert!(web.reload(ReloadTrigger::FileChange).await.is_err());
    fs::write(folder.path().join("web.yml"), "").unwrap();
    assert!(has_changed().await);
    web.reload(ReloadTrigger::Manual).await.unwrap();
    assert!(!web.is_encrypted() && !has_changed().await);
}

#[tokio::test]
async fn file_change_that_removes_protection_is_refused() {
    let folder = folder();
    let (tls, users) = (
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n",
        format!("basic_auth_users: {{alice: {HASH}}}\n"),
    );
    let verified =
        tls.replace('}', ", client_ca_file: cert.pem, client_auth_type: RequireAndVerifyClientCert}");
    let if_given = verified.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    let all = verified.clone().replace('}', ", client_allowed_sans: [a]}") + &users;
    // Every client needs one of the names.
    let named = if_given.replace('}', ", client_allowed_sans: [a]}");
    let required = load(folder.path(), &named).unwrap().subscribe().borrow().client_certs;
    assert_eq!(required, ClientCertRequirement::Named);
    for (less, said) in [
        (
            String::new(),
            "no longer encrypts, nor asks for a password, nor verifies the certificates of clients;",
        ),
        (all.replace(&users, ""), "no longer asks for a password;"),
        (tls.to_owned() + &users, "no longer verifies the certificates of clients;"),
        (if_given + &users, "no longer verifies the certificates of clients;"),
        (verified + &users, "no longer looks for names of client_allowed_sans;"),
    ] {
        let web = load(folder.path(), &all).unwrap();
        let kept = web.subscribe().borrow().clone();
        fs::write(folder.path().join("web.yml"), &less).unwrap();
        let error = web.reload(ReloadTrigger::FileChange).await.unwrap_err().to_string();
        assert!(error.contains(said), "{less}\n{error}");
        assert!(
            Arc::ptr_eq(&kept, &web.subscribe().borrow()) && web.last_read.lock().await.changed().is_none()
        );
        // The same content is accepted, and so is a manual reload.
        fs::write(folder.path().join("web.yml"), &all).unwrap();
        web.reload(ReloadTrigger::FileChange).await.unwrap();
        fs::write(folder.path().join("web.yml"), &less).unwrap();
        web.reload(ReloadTrigger::Manual).await.unwrap();
        assert!(!Arc::ptr_eq(&kept, &web.subscribe().borrow()));
    }
}

#[tokio::test(start_paused = true)]
async fn file_being_written_is_not_read_yet() {
    let folder = folder();
    let web = load(folder.path(), "").unwrap();
    let writing = async {
        // Never at the moment of a comparison.
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
async fn hanging_read_times_out_and_blocks_further_reads() {
    let folder = folder();
    let web = load(folder.path(), "").unwrap();
    let hangs = web.last_read.lock().await;
    fs::write(folder.path().join("web.yml"), "a").unwrap();
    let start = tokio::time::Instant::now();
    let error = web.reload(ReloadTrigger::Manual).await.unwrap_err().to_string();
    assert_eq!((error.as_str(), start.elapsed()), ("web configuration not read within 10s", READ_TIMEOUT));
    drop(hangs);
    let error = web.reload(ReloadTrigger::Manual).await.unwrap_err().to_string();
    assert!(error.contains("expected `key: value` entries"), "{error}");
}

#[tokio::test]
async fn renewed_certificate_keeps_verified_passwords() {
    let (folder, other) = (folder(), crate::tests::folder());
    let tls = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n";
    let web = load(folder.path(), &format!("{tls}basic_auth_users: {{alice: {HASH}}}\n")).unwrap();
    let in_force = || web.subscribe().borrow().clone();
    let before = in_force();
    assert_eq!(before.basic_auth.as_ref().unwrap().verify("alice", b"secret").await, AuthResult::Accepted);
    for name in ["cert.pem", "key.pem"] {
        fs::copy(other.path().join(name), folder.path().join(name)).unwrap();
    }
    web.reload(ReloadTrigger::FileChange).await.unwrap();
    let now = in_force();
    assert!(!Arc::ptr_eq(&before, &now));
    let _busy = web.verifier.occupied();
    let users = now.basic_auth.as_ref().unwrap();
    assert_eq!(users.verify("alice", b"secret").await, AuthResult::Accepted);
    assert_eq!(users.verify("alice", b"wrong").await, AuthResult::Busy);
}

#[tokio::test(start_paused = true)]
async fn hanging_read_suspends_the_watch() {
    let folder = folder();
    let web = load(folder.path(), "").unwrap();
    let hangs = web.last_read.lock().await;
    let waited = tokio::time::timeout(READ_TIMEOUT * 10, web.changed()).await;
    assert!(waited.is_err());
    drop(hangs);
    fs::write(folder.path().join("web.yml"), "#").unwrap();
    web.changed().await;
}
