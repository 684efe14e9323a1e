//! What is known of the request that is being answered, for code below the handlers of each API,
//! which need not pass it on: the client's address, the caller's account, where its key stands.

use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use domain::error::{Error, Result};
use domain::ids::AccountId;
use domain::service::Principal;

use crate::body::BodyPermit;
use crate::large_answers::AnswerPermit;
use crate::rate::RateNote;

struct Context {
    client: Option<IpAddr>,
    account: Cell<Option<AccountId>>,
    rate: Cell<Option<RateNote>>,
    answer: Cell<Option<AnswerPermit>>,
    body: Cell<Option<Arc<BodyPermit>>>,
}

/// What was noted while a request was handled.
#[derive(Default)]
pub struct Noted {
    /// Where its key stands.
    pub rate: Option<RateNote>,
    /// What its answer holds.
    pub answer: Option<AnswerPermit>,
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// Runs one request of a client; returns its outcome and what was noted.
pub async fn with_client<T>(
    client: Option<IpAddr>,
    request: impl Future<Output = T>,
) -> (T, Noted) {
    let (account, rate, answer, body) = Default::default();
    let context = Context { client, account, rate, answer, body };
    let noted =
        |context: &Context| Some(Noted { rate: context.rate.get(), answer: context.answer.take() });
    CONTEXT.scope(context, async { (request.await, read(noted).unwrap_or_default()) }).await
}

/// Keeps a permit until the request is answered, and with a large answer until that is written.
pub fn keep(permit: AnswerPermit) {
    read(|context| {
        context.answer.set(Some(permit));
        None::<()>
    });
}

/// Keeps a permit until the request is answered.
pub fn keep_body(permit: Arc<BodyPermit>) {
    read(|context| {
        context.body.set(Some(permit));
        None::<()>
    });
}

/// Notes who is calling, and where the key stands.
pub fn note(authenticated: &Result<Principal>) {
    let (account, rate) = match authenticated {
        Ok(principal) => (principal.caller.account(), principal.rate.map(RateNote::within)),
        Err(Error::RateLimited(state)) => (None, Some(RateNote::over(*state))),
        Err(_) => (None, None),
    };
    read(|context| {
        context.account.set(account);
        context.rate.set(rate);
        None::<()>
    });
}

/// The address of the client.
pub fn client() -> Option<IpAddr> {
    read(|context| context.client)
}

/// The account of the caller, once it is known.
pub fn account() -> Option<AccountId> {
    read(|context| context.account.get())
}

/// Outside of a request, as in a test, nothing is known.
fn read<T>(read: impl FnOnce(&Context) -> Option<T>) -> Option<T> {
    CONTEXT.try_with(read).ok().flatten()
}
