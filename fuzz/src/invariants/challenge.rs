//! Invariants of digest challenges.

use atlas_client::fuzzing::{digest_challenge, digest_sign};
use digest_auth::AuthorizationHeader;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Request};

use super::text::assert_single_line;

const PUBLIC: &str = "public\"key\\";
const PRIVATE: &str = "d0a1ca1d-4c2b";

/// Checks the response to `WWW-Authenticate` headers, one on a line. It can be parsed, and neither
/// headers nor errors contain the private key.
pub fn challenge(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let Some(mut challenge) = digest_challenge(&headers) else { return };
    assert_eq!(digest_challenge(&headers).as_ref(), Some(&challenge), "parsed twice");
    let url = "https://localhost/api/atlas/v2/groups/a%22b?pageNum=1&name=\"".parse().expect("a URL");
    let request = Request::new(Method::GET, url);
    for count in 1..=2 {
        let signed = match digest_sign(&mut challenge, PUBLIC, &PRIVATE.into(), &request) {
            Ok(signed) => signed,
            Err(error) => return assert_single_line(&error.to_string()),
        };
        let header = signed.headers().get(AUTHORIZATION).expect("a signed request");
        assert!(header.is_sensitive());
        let text = header.to_str().expect("text");
        assert!(
            !text.contains(PRIVATE) || bytes.windows(PRIVATE.len()).any(|part| part == PRIVATE.as_bytes())
        );
        let response = AuthorizationHeader::parse(text).expect("a response that can be parsed");
        assert_eq!((&response.realm, &response.nonce), (&challenge.realm, &challenge.nonce));
        assert_eq!(response.opaque, challenge.opaque);
        assert!(response.userhash || response.username == PUBLIC);
        assert!(response.qop.is_none() || response.nc == count);
    }
}
