//! `GetJobStatus` and `DescribeRegions`: what clients ask around their calls.

use super::answer::{Content, content};
use super::error::AlibabaError;
use super::request::Request;
use super::{Call, ids};
use crate::api::query::crop;
use axum::http::StatusCode;
use serde_json::json;

/// Whatever was asked for is done before its job's id is given away.
pub(super) fn status(mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("JobId")?;
    if !ids::is_job(&id) {
        let message = format!("The specified resource job '{}' is not found.", crop(&id));
        return Err(AlibabaError::new(StatusCode::NOT_FOUND, "ResourceNotFound.job", message));
    }
    Ok(content(json!({ "Status": "Succeeded" })))
}

/// There is one region, that which the client names, and this host answers for it.
pub(super) fn regions(call: &Call) -> Content {
    let (region, endpoint) = (&call.region, &call.host);
    content(json!({
        "Regions": [{ "RegionId": region, "LocalName": region, "RegionEndpoint": endpoint }],
    }))
}
