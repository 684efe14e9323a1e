//! Contents with fields of their own that only come in, and votes. Fields that a later release adds are
//! skipped; a kind that it adds is shown by its text.

use domain::content::Location;
use domain::structured::{
    Album, Answer, AnswerKind, CalendarEvent, GroupInvite, LiveLocation, Order, PollVote,
    Structured, Unnamed, Vote,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredVote {
    voter: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    digests: Vec<String>,
    at: Timestamp,
}

impl From<&Vote> for StoredVote {
    fn from(vote: &Vote) -> Self {
        let Vote { voter, digests, at } = vote.clone();
        Self { voter, digests, at }
    }
}

impl From<StoredVote> for Vote {
    fn from(StoredVote { voter, digests, at }: StoredVote) -> Self {
        Self { voter, digests, at }
    }
}

/// One of them; which one, says its field.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct StoredStructured {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live_location: Option<StoredLive>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll_vote: Option<StoredPollVote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<StoredAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<StoredOrder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group_invite: Option<StoredInvite>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<StoredCalendarEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    album: Option<StoredAlbum>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unnamed: Option<StoredUnnamed>,
}

#[derive(Serialize, Deserialize)]
struct StoredLive {
    latitude: f64,
    longitude: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accuracy_m: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heading: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    speed: Option<f32>,
    sequence: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredPollVote {
    digests: Vec<String>,
    options: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredAnswer {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    params: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredOrder {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    items: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_1000: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredInvite {
    group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct StoredCalendarEvent {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(default)]
    is_cancelled: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredAlbum {
    images: u32,
    videos: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredUnnamed {
    name: String,
    text: String,
}

impl From<&Structured> for StoredStructured {
    fn from(structured: &Structured) -> Self {
        let none = Self::default();
        match structured.clone() {
            Structured::LiveLocation(live) => Self { live_location: Some(live.into()), ..none },
            Structured::PollVote(vote) => {
                let options = vote.options().to_vec();
                Self { poll_vote: Some(StoredPollVote { digests: vote.digests, options }), ..none }
            }
            Structured::Answer(Answer { kind, id, text, params }) => {
                let kind = kind.as_str().to_owned();
                Self { answer: Some(StoredAnswer { kind, id, text, params }), ..none }
            }
            Structured::Order(order) => Self { order: Some(order.into()), ..none },
            Structured::GroupInvite(GroupInvite { group, name, code, expires_at, text }) => {
                let invite = StoredInvite { group, name, code, expires_at, text };
                Self { group_invite: Some(invite), ..none }
            }
            Structured::Event(event) => Self { event: Some(event.into()), ..none },
            Structured::Album(Album { images, videos }) => {
                Self { album: Some(StoredAlbum { images, videos }), ..none }
            }
            Structured::Unnamed(Unnamed { name, text }) => {
                Self { unnamed: Some(StoredUnnamed { name, text }), ..none }
            }
        }
    }
}

impl StoredStructured {
    /// What it is; `None` for what only a later release knows.
    pub(super) fn read(self) -> Option<Structured> {
        let live = self.live_location.map(|live| Structured::LiveLocation(live.into()));
        let vote = self.poll_vote.map(|StoredPollVote { digests, options }| {
            Structured::PollVote(PollVote::new(digests, options))
        });
        let answer = self.answer.and_then(|StoredAnswer { kind, id, text, params }| {
            let kind = AnswerKind::from_name(&kind)?;
            Some(Structured::Answer(Answer { kind, id, text, params }))
        });
        let order = self.order.map(|order| Structured::Order(order.into()));
        let invite = self.group_invite.map(|invite| {
            let StoredInvite { group, name, code, expires_at, text } = invite;
            Structured::GroupInvite(GroupInvite { group, name, code, expires_at, text })
        });
        let event = self.event.map(|event| Structured::Event(event.into()));
        let album = self
            .album
            .map(|StoredAlbum { images, videos }| Structured::Album(Album { images, videos }));
        let unnamed = self
            .unnamed
            .map(|StoredUnnamed { name, text }| Structured::Unnamed(Unnamed { name, text }));
        [live, vote, answer, order, invite, event, album, unnamed].into_iter().flatten().next()
    }
}

impl From<LiveLocation> for StoredLive {
    fn from(live: LiveLocation) -> Self {
        let LiveLocation { place, accuracy_m, heading, speed, sequence } = live;
        let Location { latitude, longitude, name, .. } = place;
        Self { latitude, longitude, name, accuracy_m, heading, speed, sequence }
    }
}

impl From<StoredLive> for LiveLocation {
    fn from(stored: StoredLive) -> Self {
        let StoredLive { latitude, longitude, name, accuracy_m, heading, speed, sequence } = stored;
        let place = Location { latitude, longitude, name, address: None };
        Self { place, accuracy_m, heading, speed, sequence }
    }
}

impl From<Order> for StoredOrder {
    fn from(order: Order) -> Self {
        let Order { id, title, text, items, total_1000, currency } = order;
        Self { id, title, text, items, total_1000, currency }
    }
}

impl From<StoredOrder> for Order {
    fn from(stored: StoredOrder) -> Self {
        let StoredOrder { id, title, text, items, total_1000, currency } = stored;
        Self { id, title, text, items, total_1000, currency }
    }
}

impl From<CalendarEvent> for StoredCalendarEvent {
    fn from(event: CalendarEvent) -> Self {
        let CalendarEvent { name, description, starts_at, ends_at, place, link, is_cancelled } =
            event;
        Self { name, description, starts_at, ends_at, place, link, is_cancelled }
    }
}

impl From<StoredCalendarEvent> for CalendarEvent {
    fn from(stored: StoredCalendarEvent) -> Self {
        let StoredCalendarEvent {
            name,
            description,
            starts_at,
            ends_at,
            place,
            link,
            is_cancelled,
        } = stored;
        Self { name, description, starts_at, ends_at, place, link, is_cancelled }
    }
}
