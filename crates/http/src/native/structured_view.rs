//! How contents that only come in are shown.

use domain::content::Content;
use domain::context::Context;
use domain::structured::{
    Album, Answer, CalendarEvent, GroupInvite, LiveLocation, Order, Structured,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// What a message has of them; at most one is there.
#[derive(Default)]
pub(super) struct StructuredFields<'a> {
    pub(super) poll_vote: Option<PollVoteBody<'a>>,
    pub(super) answer: Option<AnswerBody<'a>>,
    pub(super) order: Option<OrderBody<'a>>,
    pub(super) group_invite: Option<GroupInviteBody<'a>>,
    pub(super) event: Option<CalendarEventBody<'a>>,
    pub(super) album: Option<AlbumBody>,
    pub(super) unsupported: Option<&'a str>,
}

impl<'a> StructuredFields<'a> {
    pub(super) fn of(content: &'a Content, context: &'a Context) -> Self {
        let none = Self::default();
        match content.structured() {
            None | Some(Structured::LiveLocation(_)) => none,
            Some(Structured::PollVote(vote)) => {
                let message = context.reply_to.as_ref().map(|poll| poll.whatsapp_id.as_str());
                Self { poll_vote: Some(PollVoteBody { message, options: vote.options() }), ..none }
            }
            Some(Structured::Answer(answer)) => Self { answer: Some(answer.into()), ..none },
            Some(Structured::Order(order)) => Self { order: Some(order.into()), ..none },
            Some(Structured::GroupInvite(invite)) => {
                Self { group_invite: Some(invite.into()), ..none }
            }
            Some(Structured::Event(event)) => Self { event: Some(event.into()), ..none },
            Some(Structured::Album(album)) => Self { album: Some(album.into()), ..none },
            Some(Structured::Unnamed(unnamed)) => Self { unsupported: Some(&unnamed.name), ..none },
        }
    }
}

/// A vote in a poll.
#[derive(Serialize, ToSchema)]
#[schema(as = PollVote)]
pub(super) struct PollVoteBody<'a> {
    /// The poll's WhatsApp id.
    message: Option<&'a str>,
    /// All answers that the person chooses now; none when the vote is withdrawn, or where the poll is not
    /// known.
    options: &'a [String],
}

/// A choice among the buttons or the list of another service.
#[derive(Serialize, ToSchema)]
#[schema(as = Answer)]
pub(super) struct AnswerBody<'a> {
    /// `button`, `list`, `template` or `interactive`.
    kind: &'static str,
    /// What the service calls the choice.
    id: Option<&'a str>,
    /// What the person saw.
    text: &'a str,
    /// Further fields, as JSON that the service defines.
    params: Option<&'a str>,
}

impl<'a> From<&'a Answer> for AnswerBody<'a> {
    fn from(answer: &'a Answer) -> Self {
        Self {
            kind: answer.kind.as_str(),
            id: answer.id.as_deref(),
            text: &answer.text,
            params: answer.params.as_deref(),
        }
    }
}

/// An order from a catalogue.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub(super) struct OrderBody<'a> {
    /// Its id on WhatsApp.
    id: &'a str,
    /// What it is called.
    title: Option<&'a str>,
    /// What its writer adds.
    text: &'a str,
    /// How many things were ordered.
    items: Option<u32>,
    /// What they cost together.
    total: Option<f64>,
    /// The currency, such as `IDR`.
    currency: Option<&'a str>,
}

impl<'a> From<&'a Order> for OrderBody<'a> {
    fn from(order: &'a Order) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "no order costs as much")]
        let total = order.total_1000.map(|thousandths| thousandths as f64 / 1_000.0);
        Self {
            id: &order.id,
            title: order.title.as_deref(),
            text: &order.text,
            items: order.items,
            total,
            currency: order.currency.as_deref(),
        }
    }
}

/// An invitation into a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupInvitation)]
pub(super) struct GroupInviteBody<'a> {
    /// The group's id.
    group: &'a str,
    /// Its name.
    name: Option<&'a str>,
    /// The code with which one joins.
    code: Option<&'a str>,
    /// Until when it holds.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// What its writer adds.
    text: &'a str,
}

impl<'a> From<&'a GroupInvite> for GroupInviteBody<'a> {
    fn from(invite: &'a GroupInvite) -> Self {
        Self {
            group: &invite.group,
            name: invite.name.as_deref(),
            code: invite.code.as_deref(),
            expires_at: invite.expires_at,
            text: &invite.text,
        }
    }
}

/// Something that takes place at a time.
#[derive(Serialize, ToSchema)]
#[schema(as = CalendarEvent)]
pub(super) struct CalendarEventBody<'a> {
    /// What it is called.
    name: &'a str,
    /// More about it.
    description: Option<&'a str>,
    /// When it begins.
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// Where it is, in words.
    place: Option<&'a str>,
    /// Where one joins.
    link: Option<&'a str>,
    /// Whether it was cancelled.
    cancelled: bool,
}

impl<'a> From<&'a CalendarEvent> for CalendarEventBody<'a> {
    fn from(event: &'a CalendarEvent) -> Self {
        Self {
            name: &event.name,
            description: event.description.as_deref(),
            starts_at: event.starts_at,
            ends_at: event.ends_at,
            place: event.place.as_deref(),
            link: event.link.as_deref(),
            cancelled: event.is_cancelled,
        }
    }
}

/// The head of an album; its pictures and videos are messages of their own.
#[derive(Serialize, ToSchema)]
#[schema(as = Album)]
pub(super) struct AlbumBody {
    /// How many pictures follow.
    images: u32,
    /// How many videos follow.
    videos: u32,
}

impl From<&Album> for AlbumBody {
    fn from(album: &Album) -> Self {
        Self { images: album.images, videos: album.videos }
    }
}

/// What is known of a place that moves.
#[derive(Serialize, ToSchema)]
#[schema(as = LiveLocation)]
pub(super) struct LiveBody {
    /// How exact the place is, in metres.
    accuracy_m: Option<u32>,
    /// Degrees clockwise from north.
    heading: Option<u32>,
    /// Metres per second.
    speed: Option<f32>,
    /// Grows with every update.
    sequence: i64,
}

impl LiveBody {
    pub(super) fn of(content: &Content) -> Option<Self> {
        let LiveLocation { accuracy_m, heading, speed, sequence, .. } =
            *content.structured()?.live_location()?;
        Some(Self { accuracy_m, heading, speed, sequence })
    }
}
