//! `/v1/nodes`: the processes that share the database. For the operator.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use domain::ids::NodeId;
use domain::node::Node;
use domain::service::DRAIN_PER_S;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, Json, Segment};
use super::page::List;
use crate::api_error::ApiResult;
use crate::optional::optional;
use crate::reply::{json, no_content};
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/nodes", Access::Operator, list)
            .summary("The nodes of the gateway")
            .description(
                "The processes that share one PostgreSQL, by name. With SQLite there is one process, and the \
                 list is empty.",
            )
            .answers_list::<NodeBody>(200),
        Route::post("/v1/nodes/{id}/drain", Access::Operator, drain)
            .summary("Hand a node's devices over")
            .description(
                "The other nodes take them, so many a second, and the node gets no new ones. With 0 it takes \
                 devices again.",
            )
            .body::<DrainRequest>()
            .answers::<NodeBody>(200),
        Route::new(Method::DELETE, "/v1/nodes/{id}", Access::Operator, remove)
            .summary("Remove a node that is gone")
            .description(
                "Nodes that have stopped or failed stay on the list for a day. One that is live is not removed: \
                 409. A process that was only cut off and comes back after it was removed ends itself.",
            )
            .answers_nothing()
            .error(409, "`conflict`: the node is live"),
    ]
}

/// How a node is drained.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DrainRequest {
    /// How many devices a second, at most 1,000; 5 unless given, and 0 ends it.
    #[serde(default, deserialize_with = "optional")]
    devices_per_s: Option<u32>,
}

/// A node.
#[derive(Serialize, ToSchema)]
#[schema(as = Node)]
struct NodeBody {
    /// Its id.
    id: i64,
    /// Its name.
    name: String,
    /// Where the other nodes reach it.
    url: String,
    /// Its release.
    version: String,
    /// `live`, `draining`, or `gone`: it has not renewed its registration in time, or has stopped.
    status: &'static str,
    /// When its process has registered.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Until when it counts as live.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// How many devices a second it hands over, while it is drained.
    drain_per_s: Option<u32>,
    /// Most devices that it takes.
    capacity: u32,
    /// How many it runs.
    devices: u64,
    /// How many webhooks it posts to.
    webhooks: u64,
}

impl From<Node> for NodeBody {
    fn from(node: Node) -> Self {
        let status = match (node.is_live, node.drain_per_s) {
            (false, _) => "gone",
            (true, Some(_)) => "draining",
            (true, None) => "live",
        };
        Self {
            id: node.id.0,
            name: node.name,
            url: node.url,
            version: node.version,
            status,
            started_at: node.started_at,
            expires_at: node.expires_at,
            drain_per_s: node.drain_per_s,
            capacity: node.capacity,
            devices: node.devices,
            webhooks: node.webhooks,
        }
    }
}

async fn list(State(state): State<AppState>, Caller(principal): Caller) -> ApiResult<V1> {
    let nodes = state.core().nodes(&principal).await?;
    Ok(json(StatusCode::OK, &List::whole(nodes.into_iter().map(NodeBody::from).collect())))
}

async fn drain(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<DrainRequest>,
) -> ApiResult<V1> {
    let per_s = body.devices_per_s.unwrap_or(DRAIN_PER_S);
    let node = state.core().drain_node(&principal, NodeId(id.id("node")?), per_s).await?;
    Ok(json(StatusCode::OK, &NodeBody::from(node)))
}

async fn remove(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    state.core().remove_node(&principal, NodeId(id.id("node")?)).await?;
    Ok(no_content())
}
