//! Contents with fields of their own that only come in.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::content::{ContentKind, Location, Poll};
use crate::text::clean;

/// Most people whose votes in a poll are kept: more than a group has members.
pub const VOTERS_MAX: usize = 2_048;
/// Most answers of a vote that are kept.
pub const CHOICES_MAX: usize = 100;

/// Something that came in and has fields of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Structured {
    /// A place that moves with the phone that shares it.
    LiveLocation(LiveLocation),
    /// A vote in a poll.
    PollVote(PollVote),
    /// A choice among what another service offered.
    Answer(Answer),
    /// An order from a catalogue.
    Order(Order),
    /// An invitation into a group.
    GroupInvite(GroupInvite),
    /// Something that takes place at a time.
    Event(CalendarEvent),
    /// The head of an album; its pictures and videos are messages of their own.
    Album(Album),
    /// A kind that we have no name for.
    Unnamed(Unnamed),
}

/// Floats in it are finite, so that each equals itself.
impl Eq for LiveLocation {}

/// A place that moves.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveLocation {
    /// Where it is now.
    pub place: Location,
    /// How exact that is, in metres.
    pub accuracy_m: Option<u32>,
    /// Degrees clockwise from north.
    pub heading: Option<u32>,
    /// Metres per second.
    pub speed: Option<f32>,
    /// Counts its updates.
    pub sequence: i64,
}

/// A vote in the poll that [`Context::reply_to`](crate::context::Context::reply_to) names. It holds all that
/// its writer chooses; none when the vote is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PollVote {
    /// The SHA-256 of each chosen answer, in hexadecimal digits: a vote does not name them.
    pub digests: Vec<String>,
    /// The chosen answers, where the poll is known.
    options: Vec<String>,
    /// The same as one text.
    text: String,
}

impl PollVote {
    /// A vote for answers with these SHA-256s; `options` names them where the poll is known.
    pub fn new(digests: Vec<String>, options: Vec<String>) -> Self {
        let text = options.join(", ");
        Self { digests, options, text }
    }

    /// The chosen answers; none where the poll is not known.
    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// Names the answers.
    pub fn name(&mut self, options: Vec<String>) {
        *self = Self::new(std::mem::take(&mut self.digests), options);
    }
}

/// One person's vote, as it is kept with its poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Who voted: a number, else a LID; empty for the device's own number.
    pub voter: String,
    /// The SHA-256 of each chosen answer.
    pub digests: Vec<String>,
    /// When.
    pub at: Timestamp,
}

/// With what an answer was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum AnswerKind {
    Button,
    List,
    Template,
    Interactive,
}

/// A choice among what another service offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// With what it was chosen.
    pub kind: AnswerKind,
    /// What the service calls the choice.
    pub id: Option<String>,
    /// What the person saw.
    pub text: String,
    /// Further fields, as JSON that the service defines.
    pub params: Option<String>,
}

/// An order from a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    /// Its id on WhatsApp.
    pub id: String,
    /// What it is called.
    pub title: Option<String>,
    /// What its writer adds.
    pub text: String,
    /// How many things were ordered.
    pub items: Option<u32>,
    /// What they cost together, in thousandths of the currency's unit.
    pub total_1000: Option<i64>,
    /// The currency, such as `IDR`.
    pub currency: Option<String>,
}

/// An invitation into a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupInvite {
    /// The group's address.
    pub group: String,
    /// Its name.
    pub name: Option<String>,
    /// The code with which one joins.
    pub code: Option<String>,
    /// Until when it holds.
    pub expires_at: Option<Timestamp>,
    /// What its writer adds.
    pub text: String,
}

/// Something that takes place at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CalendarEvent {
    /// What it is called.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// When it begins.
    pub starts_at: Option<Timestamp>,
    /// When it ends.
    pub ends_at: Option<Timestamp>,
    /// Where it is, in words.
    pub place: Option<String>,
    /// Where one joins.
    pub link: Option<String>,
    /// Whether it was cancelled.
    pub is_cancelled: bool,
}

/// The head of an album.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Album {
    /// How many pictures follow.
    pub images: u32,
    /// How many videos follow.
    pub videos: u32,
}

/// A kind that we have no name for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unnamed {
    /// The protocol's name for it.
    pub name: String,
    /// What of it is text.
    pub text: String,
}

impl Structured {
    /// What kind of thing it is.
    pub fn kind(&self) -> ContentKind {
        match self {
            Self::LiveLocation(_) => ContentKind::Location,
            Self::PollVote(_) => ContentKind::PollVote,
            Self::Answer(_) => ContentKind::Answer,
            Self::Order(_) => ContentKind::Order,
            Self::GroupInvite(_) => ContentKind::GroupInvite,
            Self::Event(_) => ContentKind::Event,
            Self::Album(_) => ContentKind::Album,
            Self::Unnamed(_) => ContentKind::Other,
        }
    }

    /// The words that stand for it; empty where it has none.
    pub fn text(&self) -> &str {
        match self {
            Self::LiveLocation(live) => live.place.name.as_deref().unwrap_or_default(),
            Self::PollVote(vote) => &vote.text,
            Self::Answer(answer) if answer.text.is_empty() => {
                answer.id.as_deref().unwrap_or_default()
            }
            Self::Answer(answer) => &answer.text,
            Self::Order(order) if order.text.is_empty() => {
                order.title.as_deref().unwrap_or_default()
            }
            Self::Order(order) => &order.text,
            Self::GroupInvite(invite) if invite.text.is_empty() => {
                invite.name.as_deref().unwrap_or_default()
            }
            Self::GroupInvite(invite) => &invite.text,
            Self::Event(event) if event.name.is_empty() => {
                event.description.as_deref().unwrap_or_default()
            }
            Self::Event(event) => &event.name,
            Self::Album(_) => "",
            Self::Unnamed(unnamed) if unnamed.text.is_empty() => &unnamed.name,
            Self::Unnamed(unnamed) => &unnamed.text,
        }
    }

    /// Removes what a database does not store.
    pub fn clean(&mut self) {
        let texts: Vec<&mut String> = match self {
            Self::LiveLocation(LiveLocation { place, .. }) => {
                [&mut place.name, &mut place.address].into_iter().flatten().collect()
            }
            Self::PollVote(PollVote { digests, options, text }) => {
                digests.iter_mut().chain(options).chain([text]).collect()
            }
            Self::Answer(Answer { id, text, params, .. }) => {
                [id, params].into_iter().flatten().chain([text]).collect()
            }
            Self::Order(Order { id, title, text, currency, .. }) => {
                [title, currency].into_iter().flatten().chain([id, text]).collect()
            }
            Self::GroupInvite(GroupInvite { group, name, code, text, .. }) => {
                [name, code].into_iter().flatten().chain([group, text]).collect()
            }
            Self::Event(CalendarEvent { name, description, place, link, .. }) => {
                [description, place, link].into_iter().flatten().chain([name]).collect()
            }
            Self::Album(_) => Vec::new(),
            Self::Unnamed(Unnamed { name, text }) => vec![name, text],
        };
        texts.into_iter().for_each(clean);
    }

    /// The vote it is.
    pub fn vote(&self) -> Option<&PollVote> {
        if let Self::PollVote(vote) = self { Some(vote) } else { None }
    }

    /// The moving place it is.
    pub fn live_location(&self) -> Option<&LiveLocation> {
        if let Self::LiveLocation(live) = self { Some(live) } else { None }
    }
}

impl Poll {
    /// The answers with these SHA-256s, in the poll's order.
    pub fn chosen(&self, digests: &[String]) -> Vec<String> {
        let is_chosen = |option: &&String| digests.contains(&Self::digest(option));
        self.options.iter().filter(is_chosen).cloned().collect()
    }

    /// How votes name an answer.
    pub fn digest(option: &str) -> String {
        hex::encode(Sha256::digest(option.as_bytes()))
    }

    /// How many chose each answer.
    pub fn tally(&self) -> Vec<usize> {
        let count = |option: &String| {
            let digest = Self::digest(option);
            self.votes.iter().filter(|vote| vote.digests.contains(&digest)).count()
        };
        self.options.iter().map(count).collect()
    }

    /// Whether so many answers may be chosen; no app lets anybody choose more.
    fn allows(&self, chosen: usize) -> bool {
        self.selectable == 0 || usize::try_from(self.selectable).is_ok_and(|max| chosen <= max)
    }

    /// Takes a vote in place of the person's earlier one; says whether anything changed.
    pub fn vote(&mut self, vote: &Vote) -> bool {
        if !self.allows(vote.digests.len()) {
            return false;
        }
        let is_full = self.votes.len() >= VOTERS_MAX;
        let earlier = self.votes.iter_mut().find(|earlier| earlier.voter == vote.voter);
        match earlier {
            Some(earlier) if earlier.at > vote.at || earlier.digests == vote.digests => false,
            Some(earlier) => {
                *earlier = vote.clone();
                true
            }
            None if is_full => false,
            None => {
                self.votes.push(vote.clone());
                true
            }
        }
    }
}

impl AnswerKind {
    /// Its name in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Button => "button",
            Self::List => "list",
            Self::Template => "template",
            Self::Interactive => "interactive",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Button, Self::List, Self::Template, Self::Interactive];
        all.into_iter().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(voter: &str, options: &[&str], at_s: i64) -> Vote {
        let digests = options.iter().map(|option| Poll::digest(option)).collect();
        Vote { voter: voter.into(), digests, at: Timestamp::from_second(at_s).unwrap() }
    }

    #[test]
    fn the_last_vote_of_a_person_counts() {
        let options = vec!["Nasi".to_owned(), "Soto".to_owned()];
        let mut poll = Poll { options, ..Poll::default() };
        let cases = [
            (vote("1", &["Nasi"], 10), true, [1, 0]),
            (vote("2", &["Nasi", "Soto", "Bakso"], 10), true, [2, 1]),
            (vote("1", &["Soto"], 12), true, [1, 2]),
            (vote("1", &["Nasi"], 11), false, [1, 2]),
            (vote("1", &["Soto"], 13), false, [1, 2]),
            (vote("2", &["Nasi"], 10), true, [1, 1]),
            (vote("2", &[], 14), true, [0, 1]),
        ];
        for (vote, has_changed, tally) in cases {
            assert_eq!((poll.vote(&vote), poll.tally()), (has_changed, tally.to_vec()), "{vote:?}");
        }
        assert_eq!(poll.chosen(&vote("3", &["Soto", "Nasi"], 0).digests), ["Nasi", "Soto"]);
    }

    #[test]
    fn a_vote_for_more_than_may_be_chosen_does_not_count() {
        let options = vec!["Nasi".to_owned(), "Soto".to_owned(), "Bakso".to_owned()];
        let all: &[&str] = &["Nasi", "Soto", "Bakso"];
        for (selectable, counted) in [(0, 3), (1, 1), (2, 2), (3, 3)] {
            let mut poll = Poll { options: options.clone(), selectable, ..Poll::default() };
            for (at_s, chosen) in (1..).zip([&all[..1], &all[..2], all]) {
                let is_taken = poll.vote(&vote("1", chosen, at_s));
                assert_eq!(is_taken, chosen.len() <= counted, "{selectable}: {chosen:?}");
            }
            assert_eq!(poll.tally().iter().sum::<usize>(), counted, "{selectable}");
        }
    }

    #[test]
    fn a_vote_says_all_that_it_chooses() {
        let mut vote = PollVote::new(vec!["aa".into(), "bb".into()], Vec::new());
        assert_eq!(Structured::PollVote(vote.clone()).text(), "");
        vote.name(vec!["Soto".into(), "Rawon".into()]);
        assert_eq!((vote.digests.len(), vote.options().len()), (2, 2));
        assert_eq!(Structured::PollVote(vote).text(), "Soto, Rawon");
    }

    /// One of each kind, with `c` in every text.
    fn one_of_each(c: &str) -> Vec<Structured> {
        let text = || format!("a{c}b");
        let some = || Some(text());
        let place = Location { latitude: 1.0, longitude: 2.0, name: some(), address: some() };
        vec![
            Structured::LiveLocation(LiveLocation {
                place,
                accuracy_m: None,
                heading: None,
                speed: None,
                sequence: 1,
            }),
            Structured::PollVote(PollVote::new(vec![text()], vec![text()])),
            Structured::Answer(Answer {
                kind: AnswerKind::Button,
                id: some(),
                text: text(),
                params: some(),
            }),
            Structured::Order(Order {
                id: text(),
                title: some(),
                text: text(),
                currency: some(),
                ..Order::default()
            }),
            Structured::GroupInvite(GroupInvite {
                group: text(),
                name: some(),
                code: some(),
                expires_at: None,
                text: text(),
            }),
            Structured::Event(CalendarEvent {
                name: text(),
                description: some(),
                place: some(),
                link: some(),
                ..CalendarEvent::default()
            }),
            Structured::Album(Album { images: 1, videos: 2 }),
            Structured::Unnamed(Unnamed { name: text(), text: text() }),
        ]
    }

    #[test]
    fn no_text_keeps_what_a_database_does_not_store() {
        for (mut dirty, clean) in one_of_each("\0").into_iter().zip(one_of_each("")) {
            dirty.clean();
            assert_eq!(dirty, clean);
        }
    }

    #[test]
    fn votes_and_moving_places_are_found_among_the_others() {
        let all = one_of_each("");
        let votes: Vec<_> = all.iter().filter_map(Structured::vote).collect();
        assert_eq!(votes, [&PollVote::new(vec!["ab".into()], vec!["ab".into()])]);
        let places = all.iter().filter_map(Structured::live_location);
        assert_eq!(places.map(|live| live.sequence).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_has_no_words_is_named_otherwise() {
        let (name, id) = (|| Some("name".to_owned()), || "id".to_owned());
        for (words, expected) in
            [("words", ["words"; 5]), ("", ["id", "name", "name", "name", "id"])]
        {
            let text = words.to_owned();
            let shown = [
                Structured::Answer(Answer {
                    kind: AnswerKind::List,
                    id: Some(id()),
                    text: text.clone(),
                    params: None,
                }),
                Structured::Order(Order { title: name(), text: text.clone(), ..Order::default() }),
                Structured::GroupInvite(GroupInvite {
                    name: name(),
                    text: text.clone(),
                    ..GroupInvite::default()
                }),
                Structured::Event(CalendarEvent {
                    name: text.clone(),
                    description: name(),
                    ..CalendarEvent::default()
                }),
                Structured::Unnamed(Unnamed { name: id(), text }),
            ];
            assert_eq!(shown.each_ref().map(Structured::text), expected);
        }
    }

    #[test]
    fn a_full_poll_takes_changed_votes_and_no_new_ones() {
        let mut poll = Poll { options: vec!["Nasi".into()], ..Poll::default() };
        for voter in 0..VOTERS_MAX {
            assert!(poll.vote(&vote(&voter.to_string(), &["Nasi"], 10)), "{voter}");
        }
        assert!(!poll.vote(&vote("one more", &["Nasi"], 11)));
        assert!(poll.vote(&vote("0", &[], 11)));
        assert_eq!(poll.tally(), [VOTERS_MAX - 1]);
    }

    #[test]
    fn names_lead_back() {
        use AnswerKind::{Button, Interactive, List, Template};
        for (kind, name) in [
            (Button, "button"),
            (List, "list"),
            (Template, "template"),
            (Interactive, "interactive"),
        ] {
            assert_eq!((kind.as_str(), AnswerKind::from_name(name)), (name, Some(kind)));
        }
        assert_eq!(AnswerKind::from_name("menu"), None);
    }
}
