//! Histories that the phone gives, and what is learnt of groups.

use domain::chat::ChatId;
use domain::group::{GroupChange, GroupReport};

use super::Supervisor;
use crate::asked;
use crate::client::Session;
use crate::history::{self, History};
use crate::timers::{Timer, TimerStore};

impl Supervisor {
    /// What is sent to a group from now on carries its timer.
    pub(super) async fn learn_timer(&self, report: &GroupReport) {
        let GroupChange::Ephemeral(seconds) = report.change else { return };
        let timer = Timer { seconds, set_at_s: report.at.as_second() };
        let learnt = vec![(ChatId::Group(report.group.clone()), timer)];
        let stored = TimerStore { store: &self.shared.sessions, device: self.device };
        if let Err(error) = self.online.timers.learn(&stored, learnt).await {
            tracing::debug!(device = %self.device, %error, "a timer is not stored");
        }
    }

    /// Reports the chats of a history, or the messages that were asked for; then another device may hold
    /// one.
    pub(super) fn take_history(&self, session: &Session, history: History) {
        let (events, client) = (self.shared.events.clone(), session.client.clone());
        let (device, turn) = (self.device, self.online.history_turn.clone());
        let (asked, me) = (self.online.asked.clone(), session.sink.me());
        tokio::spawn(async move {
            match history.asked.clone() {
                Some(request) => {
                    let stored = asked::report(&events, device, &client, history, &me).await;
                    asked.answered(&request, stored).await;
                }
                None => history::report_chats(events, device, client, history).await,
            }
            turn.end();
        });
    }
}
