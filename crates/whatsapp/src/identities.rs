//! Reports who is who: numbers and LIDs of one person, as the session learns them.
//!
//! Invariant: what is reported is durable before the library's own mapping, and before the message that
//! names the person.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, OnceLock};

use domain::chat::ChatId;
use domain::contact::{Identity, Spelling};
use domain::ids::DeviceId;
use domain::ports::{MessengerEvents, StoreResult};
use tokio::sync::Mutex;

use crate::limits::{IDENTITIES_PER_REPORT_MAX, IDENTITIES_REPORTED_MAX};

/// Where the driver delivers to, once that is set.
pub(crate) type Events = Arc<OnceLock<Arc<dyn MessengerEvents>>>;

/// What was reported of a device since the start, as hashes: a device may know many thousands, and a
/// collision only leaves one report to the next start.
#[derive(Default)]
pub(crate) struct Identities(Mutex<Reported>);

#[derive(Default)]
struct Reported {
    lid_of: HashMap<u64, u64>,
    phone_of: HashMap<u64, u64>,
    /// The accounts' numbers of second spellings.
    spelled: HashMap<u64, u64>,
}

/// Reports for one device.
#[derive(Clone)]
pub(crate) struct IdentityReporter {
    pub(crate) events: Events,
    pub(crate) device: DeviceId,
    pub(crate) identities: Arc<Identities>,
}

impl IdentityReporter {
    /// Reports those that were not reported yet, one report after the other.
    pub(crate) async fn report(&self, identities: Vec<Identity>) -> StoreResult<()> {
        let Some(events) = self.events.get() else { return Ok(()) };
        let mut reported = self.identities.0.lock().await;
        let news: Vec<Identity> =
            identities.into_iter().filter(|identity| reported.is_news(identity)).collect();
        for some in news.chunks(IDENTITIES_PER_REPORT_MAX) {
            events.identified(self.device, some.to_vec()).await?;
            some.iter().for_each(|identity| reported.add(identity));
        }
        Ok(())
    }

    /// Reports that WhatsApp knows a number by another spelling, unless that was reported.
    pub(crate) async fn report_spelling(&self, spelling: Spelling) -> StoreResult<()> {
        let Some(events) = self.events.get() else { return Ok(()) };
        let [written, known] = [&spelling.spelling, &spelling.phone].map(|n| hash(n.as_str()));
        let mut reported = self.identities.0.lock().await;
        if reported.spelled.get(&written) == Some(&known) {
            return Ok(());
        }
        events.spelled(self.device, spelling).await?;
        if reported.spelled.len() >= IDENTITIES_REPORTED_MAX {
            reported.spelled.clear();
        }
        reported.spelled.insert(written, known);
        Ok(())
    }

    /// Reports chats whose people are no strangers.
    pub(crate) async fn report_chats(&self, chats: Vec<ChatId>) -> StoreResult<()> {
        match self.events.get() {
            Some(events) => events.chats_known(self.device, chats).await,
            None => Ok(()),
        }
    }
}

impl Reported {
    fn is_news(&self, identity: &Identity) -> bool {
        let (phone, lid) = hashes(identity);
        self.lid_of.get(&phone) != Some(&lid) || self.phone_of.get(&lid) != Some(&phone)
    }

    fn add(&mut self, identity: &Identity) {
        if self.lid_of.len() >= IDENTITIES_REPORTED_MAX {
            *self = Self::default();
        }
        let (phone, lid) = hashes(identity);
        self.lid_of.insert(phone, lid);
        self.phone_of.insert(lid, phone);
    }
}

fn hashes(identity: &Identity) -> (u64, u64) {
    (hash(identity.phone.as_str()), hash(identity.lid.as_str()))
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::chat::Lid;
    use domain::phone::PhoneNumber;

    #[test]
    fn a_number_that_changes_its_owner_and_back_is_news_each_time() {
        let identity = |phone: &str, lid: &str| Identity {
            phone: PhoneNumber::from_digits(phone),
            lid: Lid::from_user(lid),
        };
        let mut reported = Reported::default();
        for (phone, lid, is_news) in [
            ("628222", "1", true),
            ("628222", "1", false),
            ("628222", "2", true),
            ("628222", "1", true),
            ("628333", "1", true),
            ("628222", "1", true),
            ("628222", "1", false),
        ] {
            let identity = identity(phone, lid);
            assert_eq!(reported.is_news(&identity), is_news, "{phone} {lid}");
            reported.add(&identity);
        }
    }
}
