//! `/v1/devices/{id}/portal-links`: links that open the page of one device to somebody without an account.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use domain::ids::PortalLinkId;
use domain::portal::{Permission, PortalLink};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::caller::{Caller, Json, Segment, Segments};
use super::devices::device_id;
use super::page::List;
use crate::api_error::ApiResult;
use crate::dashboard::portal_path;
use crate::net::server_address;
use crate::optional::{ListField, optional};
use crate::reply::{json, no_content};
use crate::routes::{Access, Route};
use crate::state::AppState;

const ALL: &str = "/v1/devices/{id}/portal-links";
const ONE: &str = "/v1/devices/{id}/portal-links/{link}";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(ALL, Access::Account, create)
            .summary("Create a link to the page of one device")
            .description(
                "For somebody without an account: the page shows the device's status, and what the link \
                 allows. The address is shown only in this answer; who has it needs nothing else.",
            )
            .body::<PortalLinkRequest>()
            .answers::<NewPortalLinkBody>(201)
            .error(409, "`conflict`: the device has 100 valid links already"),
        Route::get(ALL, Access::Account, list)
            .summary("The valid links of a device, newest first, without their addresses")
            .answers_list::<PortalLinkBody>(200),
        Route::new(Method::DELETE, ONE, Access::Account, delete)
            .summary("Revoke a link, at once")
            .answers_nothing(),
    ]
}

/// What the holder of a link may do.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PortalPermission)]
enum May {
    /// Links the device: by QR, by code, with a passkey.
    Pair,
    /// Sees its messages.
    Read,
    /// Sends from it.
    Send,
}

impl From<May> for Permission {
    fn from(may: May) -> Self {
        match may {
            May::Pair => Self::Pair,
            May::Read => Self::Read,
            May::Send => Self::Send,
        }
    }
}

impl From<Permission> for May {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Pair => Self::Pair,
            Permission::Read => Self::Read,
            Permission::Send => Self::Send,
        }
    }
}

/// A link to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PortalLinkRequest {
    /// Seconds until it ends: 60 to 31,622,400; 604,800 (7 days) unless given.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<i64>, minimum = 60, maximum = 31_622_400)]
    expires_in_s: Option<i64>,
    /// What its holder may do beside seeing the device's status; one at least.
    #[schema(value_type = Vec<May>)]
    may: ListField<May>,
}

/// A link, without its address.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalLink)]
struct PortalLinkBody {
    /// Its id.
    id: i64,
    /// The device that it opens.
    device: Uuid,
    /// What its holder may do.
    may: Vec<May>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl From<&PortalLink> for PortalLinkBody {
    fn from(link: &PortalLink) -> Self {
        Self {
            id: link.id.0,
            device: link.device_id.0,
            may: link.may.iter().map(|may| May::from(*may)).collect(),
            created_at: link.created_at,
            expires_at: link.expires_at,
        }
    }
}

/// A new link.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPortalLink)]
struct NewPortalLinkBody {
    #[serde(flatten)]
    about: PortalLinkBody,
    /// Its address; it is shown only now.
    url: String,
}

async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<PortalLinkRequest>,
) -> ApiResult<V1> {
    let core = state.core();
    let device = device_id(&state, &principal, &id).await?;
    let may = body.may.0.into_iter().map(Permission::from).collect();
    let (link, secret) =
        core.create_portal_link(&principal, device, body.expires_in_s, may).await?;
    let url = server_address(state.config(), &headers) + &portal_path(&secret);
    Ok(json(StatusCode::CREATED, &NewPortalLinkBody { about: (&link).into(), url }))
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let device = device_id(&state, &principal, &id).await?;
    let links = state.core().portal_links(&principal, device).await?;
    Ok(json(StatusCode::OK, &List::whole(links.iter().map(PortalLinkBody::from).collect())))
}

async fn delete(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, link): Segments,
) -> ApiResult<V1> {
    principal.require_account_key()?;
    let device = device_id(&state, &principal, &id).await?;
    let link = PortalLinkId(link.id("portal link")?);
    state.core().delete_portal_link(&principal, device, link).await?;
    Ok(no_content())
}
