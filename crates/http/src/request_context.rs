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
    waits: Cell<bool>,
    has_waited: bool,
}

/// What was noted while a request was handled.
#[derive(Default)]
pub struct Noted {
    /// Where its key stands.
    pub rate: Option<RateNote>,
    /// What its answer holds.
    pub answer: Option<AnswerPermit>,
    /// Whether it is a send that waits for its outcome.
    pub waits: bool,
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// Runs one request of a client; returns its outcome and what was noted.
pub async fn with_client<T>(
    client: Option<IpAddr>,
    request: impl Future<Output = T>,
) -> (T, Noted) {
    within(client, false, request).await
}

/// The same of a send that another node has waited for, and not answered.
pub async fn after_wait<T>(client: Option<IpAddr>, request: impl Future<Output = T>) -> T {
    within(client, true, request).await.0
}

async fn within<T>(
    client: Option<IpAddr>,
    has_waited: bool,
    request: impl Future<Output = T>,
) -> (T, Noted) {
    let (account, rate, answer, body, waits) = Default::default();
    let context = Context { client, account, rate, answer, body, waits, has_waited };
    let noted = |context: &Context| {
        let (rate, answer) = (context.rate.get(), context.answer.take());
        Some(Noted { rate, answer, waits: context.waits.get() })
    };
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

/// Notes that the request is a send that waits for its outcome.
pub fn note_wait() {
    read(|context| {
        context.waits.set(true);
        None::<()>
    });
}

/// Whether another node has waited for the outcome of this send, and not answered.
pub fn has_waited() -> bool {
    read(|context| Some(context.has_waited)).unwrap_or(false)
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
