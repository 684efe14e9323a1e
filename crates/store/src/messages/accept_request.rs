//! A request to accept messages, on its way through a group commit.
//!
//! One thread writes for all on SQLite, and all callers of a batch wait for it. So what depends on no other request
//! is made by its caller before the request is queued: the messages, but for their ids and what they are charged to;
//! texts of their rows; the names of the key.

use domain::grant::Charge;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{Message, NewMessage, Origin};
use domain::policy::queue::QueueSize;
use domain::policy::quota::{Period, QuotaKind, QuotaReceipt};
use domain::ports::{Acceptance, Accepted};
use domain::request_file::{RequestFile, blob_key};
use jiff::Timestamp;

use super::idempotency::{KeyName, KeyNames, KeyedRequest};
use super::{Charged, RowTexts};
use crate::sql::{SqlResult, whole_millis};

/// Stands in a message until it is charged.
const UNCHARGED: QuotaReceipt = QuotaReceipt { kind: QuotaKind::Plan, remaining: 0 };

/// A request as it is queued.
pub(crate) struct AcceptRequest {
    pub(super) asked: Acceptance,
    messages: Vec<Message>,
    texts: Vec<RowTexts>,
    pub(super) names: Option<KeyNames>,
    text_bytes: usize,
}

/// What became of a request.
pub(crate) struct AcceptReply {
    pub(crate) accepted: Accepted,
    /// The newest message of its account before those that were accepted: nothing is between.
    pub(crate) after: MessageId,
}

impl AcceptRequest {
    pub(crate) fn of(asked: Acceptance) -> SqlResult<Self> {
        let account = asked.account_id;
        let message = |new: &NewMessage| new.accepted(MessageId(0), account, UNCHARGED, asked.now);
        let messages: Vec<Message> = asked.messages.iter().map(message).collect();
        let texts = messages.iter().map(RowTexts::of).collect::<SqlResult<_>>()?;
        let names = asked.idempotency.as_ref().map(|key| KeyNames::of(account, key));
        let text_bytes = QueueSize::of(&asked.messages).text_bytes;
        let text_bytes = usize::try_from(text_bytes).unwrap_or(usize::MAX);
        Ok(Self { asked, messages, texts, names, text_bytes })
    }

    pub(crate) fn account(&self) -> AccountId {
        self.asked.account_id
    }

    /// The bytes of its texts; its files are in the media store.
    pub(crate) fn bytes(&self) -> usize {
        self.text_bytes
    }

    /// Its messages; without ids, unless it was accepted.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Its answer, once that is durable: what was accepted are its messages.
    pub(crate) fn answered(
        self: Box<Self>,
        reply: SqlResult<AcceptReply>,
    ) -> SqlResult<AcceptReply> {
        let AcceptReply { accepted, after } = reply?;
        let accepted = match accepted {
            Accepted::New(_) => Accepted::New(self.messages),
            other => other,
        };
        Ok(AcceptReply { accepted, after })
    }
}

/// A request that is being accepted.
pub(super) struct AcceptedRequest<'a> {
    asked: &'a Acceptance,
    now: Timestamp,
    pub(super) messages: &'a mut [Message],
    texts: &'a [RowTexts],
    pub(super) charged: Vec<Charged>,
    key_name: Option<&'a KeyName>,
}

/// How a request is accepted.
pub(super) struct Terms {
    /// What its messages are charged to, in this period.
    pub(super) charges: Vec<Charge>,
    pub(super) period: Period,
    /// Whether its key is remembered under the second of its names.
    pub(super) is_own_name: bool,
}

impl<'a> AcceptedRequest<'a> {
    pub(super) fn of(
        AcceptRequest { asked, messages, texts, names, .. }: &'a mut AcceptRequest,
        Terms { charges, period, is_own_name }: Terms,
        ids: &mut impl Iterator<Item = MessageId>,
    ) -> Self {
        let mut charged = Vec::with_capacity(messages.len());
        let asked_for = messages.iter_mut().zip(&asked.messages);
        for (((message, new), charge), id) in asked_for.zip(charges).zip(ids) {
            (message.id, message.origin) = (id, Origin::Api(charge.receipt));
            // An attempt that was rolled back may have named the person, by what was known then.
            if message.chat != new.chat {
                message.chat.clone_from(&new.chat);
            }
            charged.push(Charged { period, grant: charge.grant });
        }
        let key_name = names.as_ref().map(|names| names.name(is_own_name));
        Self { asked, now: whole_millis(asked.now), messages, texts, charged, key_name }
    }

    pub(super) fn account(&self) -> AccountId {
        self.asked.account_id
    }

    /// Each message with what its row is made of.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Message, Charged, &RowTexts)> {
        let charged = self.charged.iter().copied();
        let rows = self.messages.iter().zip(charged).zip(self.texts);
        rows.map(|((message, charged), texts)| (message, charged, texts))
    }

    /// What its idempotency key stands for from now on.
    pub(super) fn keyed(&self) -> Option<KeyedRequest<'_>> {
        let (key, name) = self.asked.idempotency.as_ref().zip(self.key_name)?;
        let (account, now) = (self.account(), self.now);
        Some(KeyedRequest { account, name, key, messages: &*self.messages, now })
    }

    /// The files that came with it, by their names in the media store.
    pub(super) fn files(&self) -> impl Iterator<Item = (MessageId, String, &RequestFile)> {
        let account = self.account();
        let messages = self.messages.iter().zip(&self.asked.messages);
        messages.filter_map(move |(message, new)| {
            let file = new.inline_file.as_ref()?;
            Some((message.id, blob_key(account, new.device_id, &new.whatsapp_id), file))
        })
    }

    /// The devices it sends from, one for each message.
    pub(super) fn devices(&self) -> impl Iterator<Item = (AccountId, DeviceId)> {
        self.messages.iter().map(|message| (message.account_id, message.device_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::chat::ChatId;
    use domain::content::Content;
    use domain::context::Context;
    use domain::ids::WhatsappId;
    use domain::plan::Plan;
    use domain::policy::queue::QueueLimits;
    use uuid::Uuid;

    fn request(chat: &ChatId) -> AcceptRequest {
        let now = Timestamp::UNIX_EPOCH;
        let new = NewMessage {
            device_id: DeviceId(Uuid::nil()),
            chat: chat.clone(),
            content: Content::Text("x".into()),
            context: Context::default(),
            inline_file: None,
            whatsapp_id: WhatsappId::from_random([0; 8]),
            typing: false,
            priority: 0,
            due_at: now,
            is_scheduled: false,
            expires_at: now,
            retry_interval_s: None,
        };
        let asked = Acceptance {
            account_id: AccountId(1),
            plan: Plan::built_in().remove(0).into(),
            period: Period { day: 20_260_101, month: 202_601 },
            limits: QueueLimits::default(),
            messages: vec![new],
            idempotency: None,
            now,
        };
        AcceptRequest::of(asked).unwrap()
    }

    #[test]
    fn an_attempt_that_was_rolled_back_leaves_nothing_behind() {
        let lid = ChatId::from("9@lid".to_owned());
        let mut request = request(&lid);
        for (attempt, remaining) in [(1, 7), (2, 3)] {
            let receipt = QuotaReceipt { kind: QuotaKind::Plan, remaining };
            let terms = Terms {
                charges: vec![Charge { receipt, grant: None }],
                period: request.asked.period,
                is_own_name: false,
            };
            let mut ids = [MessageId(attempt)].into_iter();
            let made = AcceptedRequest::of(&mut request, terms, &mut ids);
            let message = &mut made.messages[0];
            assert_eq!((message.id, &message.chat), (MessageId(attempt), &lid));
            assert_eq!(message.origin, Origin::Api(receipt));
            assert_eq!(made.charged.len(), 1);
            message.chat = ChatId::from("628111@s.whatsapp.net".to_owned());
        }
    }
}
