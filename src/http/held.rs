//! A body that holds on to something until it has been sent, or given up.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

#[derive(Debug)]
pub(super) struct Held<T> {
    body: Body,
    /// Let go with the body.
    _with: T,
}

impl<T> Held<T> {
    pub(super) fn hold(response: Response<Body>, with: T) -> Response<Self> {
        response.map(|body| Self { body, _with: with })
    }
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
