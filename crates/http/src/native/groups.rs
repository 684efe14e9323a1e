//! `/v1/devices/{id}/groups`: the groups a number is in, and what is done with them.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use domain::device::Group;
use domain::error::Error;
use domain::group::{
    GroupDetails, GroupPicture, GroupSetting, MemberChange, MemberOutcome, Participant,
};
use domain::media::MediaSource;
use domain::message::{Address, Failure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, IdempotencyHeader, Json, MediaJson, NoFields, Segment, Segments};
use super::devices::device_id;
use super::page::List;
use crate::api_error::{ApiError, ApiResult};
use crate::fields::{Base64Field, Object, PhoneField};
use crate::optional::{ListField, nullable, optional};
use crate::reply::{json, no_content};
use crate::routes::{Access, Route};
use crate::state::AppState;

const ALL: &str = "/v1/devices/{id}/groups";
const ONE: &str = "/v1/devices/{id}/groups/{group}";
const PARTICIPANTS: &str = "/v1/devices/{id}/groups/{group}/participants";
const LEAVE: &str = "/v1/devices/{id}/groups/{group}/leave";
const INVITE: &str = "/v1/devices/{id}/groups/{group}/invite";

pub(super) fn routes() -> Vec<Route> {
    vec![
        asked(Route::get(ALL, Access::Device, list))
            .summary("The groups the device's number is in")
            .answers_list::<GroupBody>(200),
        asked(Route::post(ALL, Access::Device, create))
            .summary("Create a group")
            .description(
                "People whose privacy settings forbid it are not among its participants. An \
                 `Idempotency-Key` is refused: a repeat would make another group.",
            )
            .body::<GroupRequest>()
            .answers::<GroupDetailsBody>(201),
        asked(Route::get(ONE, Access::Device, show))
            .summary("A group with its participants")
            .answers::<GroupDetailsBody>(200),
        change(Route::new(Method::PATCH, ONE, Access::Device, update))
            .summary("Change a group's name, description, picture or who may write")
            .description("The fields given are changed one after the other, in the order shown.")
            .body::<GroupChangeRequest>()
            .answers::<GroupDetailsBody>(200),
        change(Route::post(PARTICIPANTS, Access::Device, change_participants))
            .summary("Add, remove, promote or demote participants")
            .description("Exactly one of the four lists. WhatsApp decides for each person.")
            .body::<ParticipantsRequest>()
            .answers_list::<OutcomeBody>(200),
        asked(Route::post(LEAVE, Access::Device, leave)).summary("Leave a group").answers_nothing(),
        change(Route::get(INVITE, Access::Device, invite))
            .summary("A group's invite link")
            .answers::<InviteBody>(200),
        change(Route::new(Method::DELETE, INVITE, Access::Device, renew_invite))
            .summary("Make a group's invite link void; the answer has the new one")
            .answers::<InviteBody>(200),
    ]
}

/// What a question may answer.
fn asked(route: Route) -> Route {
    any(route).error(409, "`device_not_connected`")
}

/// What a change may answer.
fn change(route: Route) -> Route {
    any(route).error(409, "`device_not_connected`; `conflict`: the number may not do that there")
}

fn any(route: Route) -> Route {
    route
        .description("Asked through the device, which must be connected.")
        .error(403, "`feature_missing`: the plan does not include groups")
        .error(502, "`whatsapp`: WhatsApp refused, or did not answer")
}

/// A group.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupBody<'a> {
    /// Its id, which messages can be sent to.
    id: &'a str,
    /// Its name.
    name: &'a str,
}

impl<'a> From<&'a Group> for GroupBody<'a> {
    fn from(group: &'a Group) -> Self {
        Self { id: group.id.as_str(), name: &group.name }
    }
}

/// A group with its participants.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupDetails)]
struct GroupDetailsBody<'a> {
    #[serde(flatten)]
    group: GroupBody<'a>,
    /// Its name, as a change takes it.
    subject: &'a str,
    /// What it is about.
    description: Option<&'a str>,
    /// Who created it, when that is known.
    creator: Option<PersonBody<'a>>,
    /// When it was created.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    /// Whether only admins write.
    announce: bool,
    /// Whether only admins change its name and description.
    locked: bool,
    /// Whether it is a community, which holds groups and no messages.
    is_community: bool,
    /// The id of the community it belongs to.
    community: Option<&'a str>,
    /// After how many seconds its messages disappear; 0 when they stay.
    ephemeral_s: u32,
    /// Its participants, admins first.
    participants: Vec<ParticipantBody<'a>>,
}

impl<'a> From<&'a GroupDetails> for GroupDetailsBody<'a> {
    fn from(details: &'a GroupDetails) -> Self {
        Self {
            group: (&details.group).into(),
            subject: &details.group.name,
            description: details.description.as_deref(),
            creator: details.creator.as_ref().map(PersonBody::from),
            created_at: details.created_at,
            announce: details.is_announcement,
            locked: details.is_locked,
            is_community: details.is_community,
            community: details.community.as_ref().map(|group| group.as_str()),
            ephemeral_s: details.ephemeral_s,
            participants: details.participants.iter().map(ParticipantBody::from).collect(),
        }
    }
}

/// A person by number and LID, as far as they are known.
#[derive(Serialize, ToSchema)]
#[schema(as = Person)]
pub(super) struct PersonBody<'a> {
    /// The phone number; null for a person who shows none.
    phone: Option<&'a str>,
    /// WhatsApp's other name for the person.
    lid: Option<&'a str>,
}

impl<'a> From<&'a Address> for PersonBody<'a> {
    fn from(who: &'a Address) -> Self {
        Self {
            phone: who.phone.as_ref().map(|phone| phone.as_str()),
            lid: who.lid.as_ref().map(|lid| lid.as_str()),
        }
    }
}

/// A participant of a group.
#[derive(Serialize, ToSchema)]
#[schema(as = Participant)]
struct ParticipantBody<'a> {
    #[serde(flatten)]
    person: PersonBody<'a>,
    /// `owner`, `admin` or `member`.
    role: &'static str,
}

impl<'a> From<&'a Participant> for ParticipantBody<'a> {
    fn from(participant: &'a Participant) -> Self {
        Self { person: (&participant.who).into(), role: participant.role.as_str() }
    }
}

/// A group to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupRequest {
    /// Its name: 1 to 100 characters.
    subject: String,
    /// Who is in it beside the device's number: phone numbers or LIDs, at most 1,023.
    #[schema(value_type = Vec<String>)]
    participants: ListField<PhoneField>,
}

/// Changes to a group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupChangeRequest {
    /// Another name: 1 to 100 characters.
    #[serde(default, deserialize_with = "optional")]
    subject: Option<String>,
    /// Another description, at most 2,048 characters; null removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    /// Whether only admins write.
    #[serde(default, deserialize_with = "optional")]
    announce: Option<bool>,
    /// Whether only admins change its name and description.
    #[serde(default, deserialize_with = "optional")]
    locked: Option<bool>,
    /// Another picture, which is cut to a square; null removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<PictureField>)]
    picture: Option<Option<Object<PictureField>>>,
}

/// A picture: from a URL or in the request.
#[derive(Deserialize, ToSchema)]
#[schema(as = PictureRequest)]
#[serde(deny_unknown_fields)]
struct PictureField {
    /// The URL of a JPEG, PNG or WebP.
    #[serde(default, deserialize_with = "optional")]
    url: Option<String>,
    /// The file itself as base64, or as a `data:` URL.
    #[schema(value_type = Option<String>)]
    base64: Option<Base64Field>,
}

impl PictureField {
    fn source(self) -> Result<MediaSource, Error> {
        match (self.url, self.base64.filter(|file| !file.bytes.is_empty())) {
            (Some(url), None) => Ok(MediaSource::Url(url)),
            (None, Some(file)) => Ok(MediaSource::Inline(file.bytes)),
            (None, None) => Err(Error::invalid("picture", "needs url or base64")),
            (Some(_), Some(_)) => Err(Error::invalid("picture", "takes url or base64, not both")),
        }
    }
}

impl GroupChangeRequest {
    fn settings(self) -> Result<Vec<GroupSetting>, Error> {
        let picture = match self.picture {
            Some(Some(Object(picture))) => Some(Some(GroupPicture::Asked(picture.source()?))),
            Some(None) => Some(None),
            None => None,
        };
        let settings = [
            self.subject.map(GroupSetting::Name),
            self.description.map(GroupSetting::Description),
            self.announce.map(GroupSetting::Announcement),
            self.locked.map(GroupSetting::Locked),
            picture.map(GroupSetting::Picture),
        ];
        Ok(settings.into_iter().flatten().collect())
    }
}

/// A change of participants: one of the lists, of phone numbers or LIDs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ParticipantsRequest {
    /// Who joins.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<Vec<String>>)]
    add: Option<ListField<PhoneField>>,
    /// Who leaves.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<Vec<String>>)]
    remove: Option<ListField<PhoneField>>,
    /// Who becomes an admin.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<Vec<String>>)]
    promote: Option<ListField<PhoneField>>,
    /// Who is an admin no longer.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<Vec<String>>)]
    demote: Option<ListField<PhoneField>>,
}

impl ParticipantsRequest {
    fn change(self) -> Result<(MemberChange, &'static str, Vec<String>), Error> {
        let lists = [
            (MemberChange::Add, "add", self.add),
            (MemberChange::Remove, "remove", self.remove),
            (MemberChange::Promote, "promote", self.promote),
            (MemberChange::Demote, "demote", self.demote),
        ];
        let given =
            lists.into_iter().filter_map(|(change, name, list)| Some((change, name, texts(list?))));
        let mut given = given.collect::<Vec<_>>();
        match (given.pop(), given.pop()) {
            (Some(change), None) => Ok(change),
            (None, _) => {
                Err(Error::invalid("add", "one of add, remove, promote, demote is needed"))
            }
            (Some((_, name, _)), Some(_)) => {
                Err(Error::invalid(name, "only one of add, remove, promote, demote at a time"))
            }
        }
    }
}

fn texts(people: ListField<PhoneField>) -> Vec<String> {
    people.0.into_iter().map(|person| person.0).collect()
}

/// What was done for one person.
#[derive(Serialize, ToSchema)]
#[schema(as = ParticipantOutcome)]
struct OutcomeBody<'a> {
    /// The person: a phone number, or a LID.
    participant: &'a str,
    /// Whether it is done.
    done: bool,
    /// Why not: `must_be_invited`, `not_on_whatsapp`, `not_a_member`, `already_a_member`,
    /// `left_recently`, `blocked`, `group_full`, `refused` or `unanswered`, with words for people.
    error: Option<OutcomeErrorBody<'a>>,
}

/// Why WhatsApp did not do it.
#[derive(Serialize, ToSchema)]
#[schema(as = ParticipantError)]
struct OutcomeErrorBody<'a> {
    /// Stable.
    code: &'a str,
    /// For people.
    message: &'a str,
}

impl<'a> From<&'a MemberOutcome> for OutcomeBody<'a> {
    fn from(outcome: &'a MemberOutcome) -> Self {
        let error = |failure: &'a Failure| OutcomeErrorBody {
            code: &failure.code,
            message: &failure.message,
        };
        let refused = outcome.refused.as_ref();
        Self {
            participant: outcome.who.short(),
            done: refused.is_none(),
            error: refused.map(error),
        }
    }
}

/// An invite link.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupInvite)]
struct InviteBody {
    /// Everybody who opens it can join.
    link: String,
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let groups = state.core().groups(&principal, id).await?;
    Ok(json(StatusCode::OK, &List::whole(groups.iter().map(GroupBody::from).collect())))
}

async fn create(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<GroupRequest>,
) -> ApiResult<V1> {
    if key.is_some() {
        let message = "is not understood here: see the groups before you create one again";
        return Err(ApiError::field("Idempotency-Key", message).into());
    }
    let id = device_id(&state, &principal, &id).await?;
    let people = texts(body.participants);
    let made = state.core().create_group(&principal, id, &body.subject, &people).await?;
    Ok(json(StatusCode::CREATED, &GroupDetailsBody::from(&made)))
}

async fn show(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, group): Segments,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let found = state.core().group(&principal, id, &group.0).await?;
    Ok(json(StatusCode::OK, &GroupDetailsBody::from(&found)))
}

async fn update(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, group): Segments,
    MediaJson(body): MediaJson<GroupChangeRequest>,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let changed = state.core().change_group(&principal, id, &group.0, body.settings()?).await?;
    Ok(json(StatusCode::OK, &GroupDetailsBody::from(&changed)))
}

async fn change_participants(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, group): Segments,
    Json(body): Json<ParticipantsRequest>,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let (change, field, people) = body.change()?;
    let people = (field, people.as_slice());
    let outcomes = state.core().change_members(&principal, id, &group.0, change, people).await?;
    Ok(json(StatusCode::OK, &List::whole(outcomes.iter().map(OutcomeBody::from).collect())))
}

async fn leave(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, group): Segments,
    _: NoFields,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    state.core().leave_group(&principal, id, &group.0).await?;
    Ok(no_content())
}

async fn invite(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, group): Segments,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let link = state.core().group_invite(&principal, id, &group.0, false).await?;
    Ok(json(StatusCode::OK, &InviteBody { link }))
}

async fn renew_invite(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, group): Segments,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let link = state.core().group_invite(&principal, id, &group.0, true).await?;
    Ok(json(StatusCode::OK, &InviteBody { link }))
}
