//! Answers to calls that a device has rejected.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Core, Principal, SendRequest};
use crate::account::Caller;
use crate::call::Call;
use crate::content::Content;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, KeyId};
use crate::key::KeyHash;
use crate::ports::{CallReplies, IdempotencyKey, KeyHolder};
use crate::scope::{Scope, Scopes};

/// What the key of a call's answer belongs to, beside the routes of APIs.
const ROUTE: &str = "call";
/// How long a caller who has got the text gets it no more, however often they ring.
const ONCE_IN_S: i64 = 600;

#[async_trait]
impl CallReplies for Core {
    async fn reply_to_call(
        &self,
        account: AccountId,
        device: DeviceId,
        call: &Call,
        text: &str,
    ) -> Result<()> {
        let scopes: Scopes = [Scope::Send].into_iter().collect();
        let holder = self.holder_of(account, scopes).await?.ok_or(Error::NotFound("account"))?;
        // A setting is no key, and ids of keys begin with 1.
        let caller = Caller::Device(account, device, KeyId(0));
        let holder = Some(Arc::new(KeyHolder { caller, ..KeyHolder::clone(&holder) }));
        let person = Some("a rejected call".into());
        let principal = Principal { caller, holder, key: KeyHash([0; 32]), rate: None, person };
        let request = SendRequest {
            device: Some(device.into()),
            to: call.from.key().to_owned(),
            content: Content::Text(text.into()),
            ..SendRequest::default()
        };
        let key = IdempotencyKey {
            route: ROUTE.to_owned(),
            key: key_of(device, call),
            request_hash: [0; 32],
            token_of: None,
        };
        self.send(&principal, vec![request], Some(key)).await.map(drop)
    }
}

/// What the texts to a caller have in common within [`ONCE_IN_S`].
fn key_of(device: DeviceId, call: &Call) -> String {
    format!("{device} {} {}", call.from.key(), call.at.as_second().div_euclid(ONCE_IN_S))
}
