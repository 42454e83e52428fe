//! What must hold of a digest challenge, whatever it says.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use std::sync::LazyLock;

use digest_auth::AuthorizationHeader;
use reqwest::Method;
use reqwest::header::HeaderValue;

use super::{
    AUTHORIZATION, DigestAuth, HeaderMap, PoisonError, Request, SecretSource, SecretString, WWW_AUTHENTICATE,
};
use crate::fuzzing::is_a_line;
use crate::transport::{ClientOptions, Transport};

const PUBLIC: &str = "public\"key\\";
const PRIVATE: &str = "d0a1ca1d-4c2b";

static AUTH: LazyLock<DigestAuth> = LazyLock::new(|| {
    let url = "http://localhost/".parse().expect("a URL");
    let transport = Transport::new(&ClientOptions::new(url)).expect("a transport");
    let secret = SecretSource::Inline { secret: PRIVATE.into(), origin: String::new() };
    DigestAuth::new(transport, PUBLIC.to_owned(), String::new(), secret)
});

/// The `WWW-Authenticate` headers of an answer, one on a line: what is read as a challenge is
/// answered so that its author can read the answer, and the private key is in nothing that is sent
/// or said.
pub fn challenge(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let Some(challenge) = super::challenge(&headers) else { return };
    assert_eq!(super::challenge(&headers).as_ref(), Some(&challenge), "read twice");
    let key = SecretString::from(PRIVATE);
    *AUTH.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge.clone());
    let url = "https://localhost/api/atlas/v2/groups/a%22b?pageNum=1&name=\"".parse().expect("a URL");
    let request = Request::new(Method::GET, url);
    for times in 1..=2 {
        let (signed, nonce) = match AUTH.sign(&request, &key) {
            Ok(signed) => signed,
            Err(error) => return is_a_line(&error.to_string()),
        };
        assert_eq!(nonce.as_ref(), Some(&challenge.nonce));
        let header = signed.headers().get(AUTHORIZATION).expect("an answer");
        assert!(header.is_sensitive());
        let text = header.to_str().expect("text");
        assert!(
            !text.contains(PRIVATE) || bytes.windows(PRIVATE.len()).any(|part| part == PRIVATE.as_bytes())
        );
        let answer = AuthorizationHeader::parse(text).expect("an answer that can be read");
        assert_eq!((&answer.realm, &answer.nonce), (&challenge.realm, &challenge.nonce));
        assert_eq!(answer.opaque, challenge.opaque);
        assert!(answer.userhash || answer.username == PUBLIC);
        assert!(answer.qop.is_none() || answer.nc == times);
    }
}
