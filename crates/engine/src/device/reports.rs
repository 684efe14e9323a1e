//! What others do that is reported on: calls, changes of groups; and the files that waited for the device.

use std::time::Duration;

use domain::call::{Call, CallReport};
use domain::group::GroupReport;

use super::DeviceTask;
use super::jobs::Done;
use crate::group_facts;
use crate::incoming_files;
use crate::timing::within;

/// How long rejecting a call may take.
const REJECT_WAIT: Duration = Duration::from_secs(10);

impl DeviceTask {
    /// Somebody calls.
    pub(super) fn called(&self, call: Call) {
        let rejects = self.connection.rejects_calls();
        let reply = self.connection.call_reply().filter(|_| !call.is_group);
        let (context, id) = (self.context.clone(), self.id);
        self.begin(async move {
            let rejected = async {
                let rejected = context.messenger().reject_call(id, &call);
                within(REJECT_WAIT, rejected).await.is_some_and(|rejected| rejected.is_ok())
            };
            let is_rejected = rejects && rejected.await;
            let report = CallReport::of(&call, is_rejected);
            match context.store().report_call(id, &report).await {
                Ok(events) => context.emit(&events),
                Err(error) => tracing::warn!(%error, "a call could not be reported"),
            }
            if let Some((account, text)) = reply.filter(|_| is_rejected)
                && let Some(replies) = context.call_replies()
                && let Err(error) = replies.reply_to_call(account, id, &call, &text).await
            {
                tracing::info!(%error, "a caller is not sent the text for rejected calls");
            }
            Done::Nothing
        });
    }

    /// A group that the number is in has changed.
    pub(super) fn group_changed(&self, report: GroupReport) {
        let (context, id) = (self.context.clone(), self.id);
        let is_ours = self.connection.own_address().is_some_and(|own| report.concerns(&own));
        self.begin(async move {
            match context.store().report_group(id, &report).await {
                Ok(events) => context.emit(&events),
                Err(error) => tracing::warn!(%error, "a change of a group could not be reported"),
            }
            if is_ours {
                group_facts::learn_again(&context, id, report.group);
            }
            Done::Nothing
        });
    }

    /// The device is connected: files that waited for it are fetched now.
    pub(super) fn hasten_files(&self) {
        let (context, id) = (self.context.clone(), self.id);
        self.begin(async move {
            incoming_files::hasten(&context, id).await;
            Done::Nothing
        });
    }
}
