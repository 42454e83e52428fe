use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// A body that holds a guard, such as a permit, until it has been sent or the client is gone.
#[derive(Debug)]
pub struct GuardedBody<T> {
    body: Body,
    _guard: T,
}

impl<T: Send + Unpin + 'static> GuardedBody<T> {
    /// Returns a body that holds `guard`.
    pub fn wrap(body: Body, guard: T) -> Body {
        Body::new(Self { body, _guard: guard })
    }
}

impl<T: Unpin> HttpBody for GuardedBody<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    // `is_end_stream` stays false: hyper would drop the body, and its guard, before the last frame
    // is sent.
}
