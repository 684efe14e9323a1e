//! WhatsApp, as the engine sees it, and what it reports.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::call::Call;
use crate::chat::ChatId;
use crate::client::{ClientSettings, ConnectedAs};
use crate::contact::{Identity, Spelling};
use crate::content::OutgoingContent;
use crate::context::Context;
use crate::device::{DisconnectReason, Group, LinkedNumber, PairMethod, PairOffer};
use crate::error::Result;
use crate::group::{GroupAnswer, GroupReport, GroupRequest};
use crate::ids::{DeviceId, WhatsappId};
use crate::incoming_file::FileReference;
use crate::link::LinkPreview;
use crate::media::TempMedia;
use crate::message::{Failure, IncomingMessage, Message, Receipt};
use crate::passkey::Assertion;
use crate::phone::PhoneNumber;
use crate::ports::StoreResult;

/// A message on its way to WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The chat it goes to.
    pub chat: ChatId,
    /// Its id, the same on every attempt.
    pub whatsapp_id: WhatsappId,
    /// What it carries.
    pub content: OutgoingContent,
    /// What it refers to.
    pub context: Context,
    /// What is shown of a link in its text.
    pub preview: Option<LinkPreview>,
    /// Not to be written at this time or later: an upload before it may take long.
    pub expires_at: Option<Timestamp>,
}

/// Why a message could not be submitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The device has no connection: the attempt does not count.
    #[error("not connected")]
    NotConnected,
    /// It was too late to write it, and nothing was written.
    #[error("too late")]
    Expired,
    /// It may work later.
    #[error("{0}")]
    Temporary(String),
    /// It never will.
    #[error("{}", .0.message)]
    Permanent(Failure),
}

/// Why a file that came in could not be fetched; with words that are safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The device has no connection: the attempt does not count.
    #[error("not connected")]
    NotConnected,
    /// It may work later.
    #[error("{0}")]
    Temporary(String),
    /// This machine could not write it, such as to a full disk: the attempt does not count. For logs.
    #[error("{0}")]
    Local(String),
    /// Neither WhatsApp nor the phone has it any more.
    #[error("neither WhatsApp nor the phone has the file any more")]
    Gone,
    /// It never will.
    #[error("{0}")]
    Permanent(String),
}

/// What the messenger reports about a device, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessengerEvent {
    /// There is something new to show to the owner of the phone.
    Offer(PairOffer),
    /// Linking ended without success; in words for people.
    PairingFailed(String),
    /// The phone has linked the device.
    Paired(LinkedNumber),
    /// Ready to send.
    Connected,
    /// The connection is gone. The messenger reconnects by itself unless
    /// [`DisconnectReason::reconnect`] says never.
    Disconnected(DisconnectReason),
    /// The link is gone; in words for people.
    LoggedOut(String),
    /// WhatsApp has the message.
    Acknowledged(WhatsappId),
    /// WhatsApp refused the message, with its code.
    Refused(WhatsappId, u16),
    /// A recipient's phone reported messages.
    Receipt(Vec<WhatsappId>, Receipt, Timestamp),
    /// A message came in that could not be decrypted; it is asked for again. Counted only.
    Undecryptable,
    /// Such messages have come after all, as many as this. Counted only.
    Recovered(u64),
    /// Until when WhatsApp lets the number write to no strangers; `None` when it may. Reported when a
    /// message to a stranger was refused, before that.
    Restricted(Option<Timestamp>),
    /// Somebody calls.
    Call(Call),
    /// A group that the number is in has changed.
    GroupChanged(GroupReport),
}

/// WhatsApp, as the engine sees it. Implemented by the `whatsapp` crate, and by `testkit`.
#[async_trait]
pub trait Messenger: Send + Sync {
    /// How a device connects, to be set before it does; a device that is connected stays as it is.
    fn configure(&self, device: DeviceId, settings: ClientSettings);
    /// Connects a linked device and keeps it connected. Returns at once; events report the rest. One
    /// that waits to try again does so now, unless WhatsApp has banned it until then.
    async fn connect(&self, device: DeviceId) -> Result<()>;
    /// The same because somebody asks for it: it does not wait for a pause that is left from before a start
    /// or a [`Messenger::disconnect`], either.
    async fn connect_now(&self, device: DeviceId) -> Result<()>;
    /// Begins to link a device; offers come as events until it is linked or it fails.
    async fn pair(&self, device: DeviceId, method: PairMethod) -> Result<()>;
    /// The number that a device is linked to as far as its session says.
    async fn linked(&self, device: DeviceId) -> Result<Option<LinkedNumber>>;
    /// Answers the challenge of a device that is being linked; the code to compare comes as an offer.
    async fn give_passkey(&self, device: DeviceId, assertion: Assertion) -> Result<()>;
    /// The code to compare is the same on the phone: finishes the link.
    async fn confirm_passkey(&self, device: DeviceId) -> Result<()>;
    /// Unlinks a device on WhatsApp (as far as it can be reached), stops it and erases its session.
    async fn logout(&self, device: DeviceId) -> Result<()>;
    /// Closes the connection and forgets the device; its session stays.
    async fn disconnect(&self, device: DeviceId);
    /// Writes a message to the connection. Success is not delivery: only
    /// [`MessengerEvent::Acknowledged`] is.
    async fn send(
        &self,
        device: DeviceId,
        message: OutgoingMessage,
    ) -> std::result::Result<(), SendError>;
    /// Shows or hides "typing…"; best effort.
    async fn typing(&self, device: DeviceId, chat: &ChatId, is_typing: bool);
    /// The number of the account that this number reaches, `None` when it is not on WhatsApp. It is
    /// another one where a country's numbers have two spellings.
    async fn find_number(
        &self,
        device: DeviceId,
        phone: &PhoneNumber,
    ) -> std::result::Result<Option<PhoneNumber>, SendError>;
    /// The devices that are connected, and when something last came in over their connections.
    fn alive(&self) -> Vec<(DeviceId, Timestamp)>;
    /// The same of one device.
    fn alive_at(&self, device: DeviceId) -> Option<Timestamp>;
    /// What a device is to WhatsApp; `None` while it is not connected.
    fn connected_as(&self, device: DeviceId) -> Option<ConnectedAs>;
    /// Fetches a file that came in into `draft`, an empty file: complete, decrypted and compared with its
    /// hash when this returns its size.
    async fn fetch_file(
        &self,
        _device: DeviceId,
        _reference: &FileReference,
        _draft: &TempMedia,
    ) -> std::result::Result<u64, FetchError> {
        Err(FetchError::NotConnected)
    }
    /// Marks messages of one chat that came in as read.
    async fn mark_read(
        &self,
        device: DeviceId,
        messages: &[Message],
    ) -> std::result::Result<(), SendError>;
    /// Rejects a call.
    async fn reject_call(
        &self,
        device: DeviceId,
        call: &Call,
    ) -> std::result::Result<(), SendError>;
    /// Asks the phone for messages of a chat from before this one, and waits a while for them: how many
    /// of them were stored ([`MessengerEvents::history`]); `None` when the phone has not answered yet.
    async fn ask_history(
        &self,
        _device: DeviceId,
        _before: &Message,
        _count: u32,
    ) -> std::result::Result<Option<u64>, SendError> {
        Err(SendError::NotConnected)
    }
    /// Asks WhatsApp until when the number may write to no strangers; `None` when it may.
    async fn restriction(
        &self,
        device: DeviceId,
    ) -> std::result::Result<Option<Timestamp>, SendError>;
    /// The groups the number is in.
    async fn groups(&self, device: DeviceId) -> std::result::Result<Vec<Group>, SendError>;
    /// Shows or changes a group. Fails for good with [`Failure::GROUP_NOT_AVAILABLE`] when there is none
    /// or the number is not in it, and with [`Failure::GROUP_FORBIDDEN`] when it may not do that.
    async fn group(
        &self,
        device: DeviceId,
        request: GroupRequest,
    ) -> std::result::Result<GroupAnswer, SendError>;
}

/// Where the messenger delivers to; implemented by the engine.
#[async_trait]
pub trait MessengerEvents: Send + Sync {
    /// Something happened. Called in order for each device; must not wait for the messenger.
    ///
    /// A receipt is durable when this returns `Ok`: only then may it be acknowledged to WhatsApp.
    async fn event(&self, device: DeviceId, event: MessengerEvent) -> StoreResult<()>;
    /// Messages came in. They are acknowledged to WhatsApp only when this returns `Ok`. One that is known
    /// as unreadable and can be read now takes the place of its earlier form.
    async fn received(&self, device: DeviceId, messages: Vec<IncomingMessage>) -> StoreResult<()>;
    /// Whether a message with this id is stored.
    async fn is_stored(&self, _device: DeviceId, _id: &WhatsappId) -> StoreResult<bool> {
        Ok(true)
    }
    /// Numbers and LIDs are known to be one person's each. Reported before the messages that say so.
    async fn identified(&self, device: DeviceId, identities: Vec<Identity>) -> StoreResult<()>;
    /// WhatsApp knows a number by another spelling. Reported before a message to it is written.
    async fn spelled(&self, device: DeviceId, spelling: Spelling) -> StoreResult<()>;
    /// The number has these chats from before it was linked: the people in them are no strangers.
    async fn chats_known(&self, device: DeviceId, chats: Vec<ChatId>) -> StoreResult<()>;
    /// The phone has given messages from before all others of their chats, newest first; how many of
    /// them were not known.
    async fn history(
        &self,
        _device: DeviceId,
        _messages: Vec<IncomingMessage>,
    ) -> StoreResult<u64> {
        Ok(0)
    }
    /// The messages of a chat disappear after so many seconds; 0 when they stay. False when the chat is
    /// not known.
    async fn chat_timer(
        &self,
        _device: DeviceId,
        _chat: &ChatId,
        _seconds: u32,
    ) -> StoreResult<bool> {
        Ok(true)
    }
}
