//! Calls that come in.

use domain::call::Call;
use domain::chat::Lid;
use domain::message::Address;
use domain::phone::PhoneNumber;
use domain::ports::SendError;
use jiff::Timestamp;
use wacore::types::call::{CallAction, IncomingCall};
use wacore_binary::Jid;
use whatsapp_rust::Client;

use crate::incoming::Names as _;
use crate::known_names::KnownNames;

/// Between the two addresses of a reference.
const SEPARATOR: char = ' ';

/// The call that begins to ring, from whom it itself says; `None` for what else is reported of calls.
pub(crate) fn read(call: &IncomingCall) -> Option<Call> {
    let (id, creator, number, is_video, is_group) = match &call.action {
        CallAction::Offer { call_id, call_creator, caller_pn, is_video, group_jid, .. } => {
            (call_id, call_creator, caller_pn.as_ref(), *is_video, group_jid.is_some())
        }
        CallAction::OfferNotice { call_id, call_creator, is_video, is_group } => {
            (call_id, call_creator, None, *is_video, *is_group)
        }
        _ => return None,
    };
    let jids = || [Some(creator), number].into_iter().flatten();
    let phone = jids().find(|jid| jid.server.is_pn_family());
    let lid = jids().find(|jid| jid.server.is_lid_family());
    Some(Call {
        id: id.clone(),
        from: Address {
            phone: phone.map(|jid| PhoneNumber::from_digits(jid.user.as_str())),
            lid: lid.map(|jid| Lid::from_user(&jid.user)),
        },
        is_video,
        is_group,
        at: Timestamp::from_second(call.timestamp.timestamp()).ok()?,
        reference: format!("{}{SEPARATOR}{creator}", call.from),
    })
}

/// Adds to a call what else the library knows of who calls.
pub(crate) async fn identify(client: &Client, call: &mut Call) {
    let Address { phone, lid } = &mut call.from;
    let known = phone.as_ref().map(|phone| Jid::pn(phone.as_str()));
    let known = known.or_else(|| lid.as_ref().map(|lid| Jid::lid(lid.user())));
    let Some(jid) = known else { return };
    let names = KnownNames::of(client, &[&jid]).await;
    if lid.is_none() {
        *lid = names.lid(&jid.user).map(|user| Lid::from_user(&user));
    }
    if phone.is_none() {
        *phone = names.phone(&jid.user).map(PhoneNumber::from_digits);
    }
}

/// Rejects a call: its phone hears that at once.
pub(crate) async fn reject(client: &Client, call: &Call) -> Result<(), SendError> {
    let addresses = call.reference.split_once(SEPARATOR);
    let read = |text: &str| text.parse::<Jid>().ok();
    let addresses = addresses.and_then(|(from, creator)| Some((read(from)?, read(creator)?)));
    let unknown = || SendError::Temporary("the caller's address cannot be read".to_owned());
    let (from, creator) = addresses.ok_or_else(unknown)?;
    let rejected = client.voip().reject_call(&call.id, &from, &creator).await;
    rejected.map_err(|_| SendError::Temporary("the call could not be rejected".to_owned()))
}
