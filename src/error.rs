//! Two families of errors.
//!
//! 1. What a visitor's side may see: [`Refusal`], an HTTP status and a JSON body that speaks of the hit alone and never
//!    of the container.
//! 2. What an operator sees: `anyhow` with context, in logs and on the command line. Where a caller decides by kind, a
//!    type of its own (such as [`crate::outbox::AcceptError`]).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{client::BadHit, outbox::AcceptError};

/// Why a hit was not accepted. Nothing of it was.
#[derive(Debug)]
pub enum Refusal {
    /// 400: a field of the hit is wrong.
    Bad(BadHit),
    /// 401: the write key is none of the operator's.
    WrongKey,
    /// 403: the page belongs to a site that may not send here.
    ForeignOrigin,
    /// 404: no client claims this path.
    Unclaimed,
    /// 405: the path is right, the method is not.
    Method { allow: &'static str },
    /// 408: the body took too long to arrive.
    Slow,
    /// 413: the body is over the limit.
    TooLarge { limit: usize },
    /// 415: a body that says it is something else than JSON or text.
    MediaType,
    /// 429: too many hits from one address.
    TooMany,
    /// 503: bodies that are being read take all the room there is.
    Busy,
    /// 503: the hit's calls could not be made durable.
    NotDurable(AcceptError),
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Unclaimed => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::NotDurable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The outcome's name in metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Bad(_) => "bad",
            Self::WrongKey => "wrong_key",
            Self::ForeignOrigin => "foreign_origin",
            Self::Unclaimed => "unclaimed",
            Self::Method { .. } => "method",
            Self::Slow => "slow",
            Self::TooLarge { .. } => "too_large",
            Self::MediaType => "media_type",
            Self::TooMany => "too_many",
            Self::Busy => "busy",
            Self::NotDurable(_) => "not_durable",
        }
    }

    /// What the sender is told.
    pub fn message(&self) -> String {
        match self {
            Self::Bad(bad) => bad.message.to_string(),
            Self::WrongKey => "this write key is not valid".to_owned(),
            Self::ForeignOrigin => "pages of this origin may not send hits here".to_owned(),
            Self::Unclaimed => "nothing is served at this path; hits go to POST /hit".to_owned(),
            Self::Method { allow } => format!("this path takes {allow}"),
            Self::Slow => "the body took too long to arrive".to_owned(),
            Self::TooLarge { limit } => format!("the body is larger than {limit} bytes"),
            Self::MediaType => "the body must be JSON, sent as application/json or text/plain".to_owned(),
            Self::TooMany => "too many hits from this address; try again later".to_owned(),
            Self::Busy => "the server is busy; nothing of the hit was accepted; try again later".to_owned(),
            Self::NotDurable(_) => {
                "the hit could not be stored; nothing of it was accepted; try again later".to_owned()
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let field = match &self {
            Self::Bad(bad) if !bad.field.is_empty() => Some(&bad.field),
            _ => None,
        };
        let mut error = json!({ "message": self.message() });
        if let Some(field) = field {
            error["field"] = json!(field);
        }
        let mut response = (self.status(), Json(json!({ "error": error }))).into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Method { allow } => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            Self::WrongKey => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooMany | Self::Busy | Self::NotDurable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        // Whoever sends that much or that slowly starts anew.
        if matches!(self, Self::Slow | Self::TooLarge { .. } | Self::Busy) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
