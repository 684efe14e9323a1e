//! What is known of each message between being picked and its outcome, besides its place in the
//! queue: its body, its file, and what its file has turned out to be.

use std::collections::HashMap;

use futures_util::future::AbortHandle;

use domain::ids::MessageId;
use domain::media::FileFacts;
use domain::message::Message;

use super::files::ReadyFile;

enum Stage {
    /// A job prepares its file. The entry stays until the job has reported, also when it is
    /// aborted, so that a message has at most one.
    PreparingFile(AbortHandle),
    /// Its file is ready. Its body is read again when its turn comes.
    FileReady(Box<ReadyFile>),
    /// Its body is read; "typing…" is shown until it is sent.
    Loaded(Box<Message>, Option<Box<ReadyFile>>),
    /// The messenger has it, or had it on a connection that broke.
    Submitted,
    /// Nothing of it is in memory, but for what its file has turned out to be.
    Unloaded,
}

struct Entry {
    stage: Stage,
    /// What its file has turned out to be; written down with its outcome.
    facts: Option<Box<FileFacts>>,
}

/// The messages of a device that are in flight. Bounded by what the queue picks.
#[derive(Default)]
pub(super) struct InFlight(HashMap<MessageId, Entry>);

impl InFlight {
    pub(super) fn is_preparing_file(&self, id: MessageId) -> bool {
        self.0.get(&id).is_some_and(|entry| matches!(entry.stage, Stage::PreparingFile(_)))
    }

    pub(super) fn has_file(&self, id: MessageId) -> bool {
        self.0.get(&id).is_some_and(|entry| matches!(entry.stage, Stage::FileReady(_)))
    }

    pub(super) fn file_job_began(&mut self, id: MessageId, job: AbortHandle) {
        self.set(id, Stage::PreparingFile(job));
    }

    /// The job that prepared the file of a message has reported.
    pub(super) fn file_job_ended(&mut self, id: MessageId) {
        if self.is_preparing_file(id) {
            self.set(id, Stage::Unloaded);
            self.drop_empty(id);
        }
    }

    pub(super) fn file_ready(&mut self, id: MessageId, file: Box<ReadyFile>) {
        let facts = Some(Box::new(file.facts()));
        self.0.insert(id, Entry { stage: Stage::FileReady(file), facts });
    }

    pub(super) fn loaded(&mut self, message: Box<Message>) {
        let id = message.id;
        let (file, facts) = match self.0.remove(&id) {
            Some(Entry { stage: Stage::FileReady(file), facts }) => (Some(file), facts),
            Some(Entry { facts, .. }) => (None, facts),
            None => (None, None),
        };
        self.0.insert(id, Entry { stage: Stage::Loaded(message, file), facts });
    }

    /// A message whose body is read.
    pub(super) fn body(&self, id: MessageId) -> Option<&Message> {
        match &self.0.get(&id)?.stage {
            Stage::Loaded(message, _) => Some(message),
            _ => None,
        }
    }

    /// The message is given to the messenger, with its file.
    pub(super) fn submit(
        &mut self,
        id: MessageId,
    ) -> Option<(Box<Message>, Option<Box<ReadyFile>>)> {
        self.body(id)?;
        let entry = self.0.get_mut(&id)?;
        match std::mem::replace(&mut entry.stage, Stage::Submitted) {
            Stage::Loaded(message, file) => Some((message, file)),
            _ => None,
        }
    }

    /// The message is not sent now: its body is read again at its next turn.
    pub(super) fn unload(&mut self, id: MessageId) {
        let Some(entry) = self.0.get_mut(&id) else { return };
        match &mut entry.stage {
            Stage::Loaded(_, file) => {
                entry.stage = file.take().map_or(Stage::Unloaded, Stage::FileReady);
            }
            Stage::Submitted => entry.stage = Stage::Unloaded,
            Stage::PreparingFile(_) | Stage::FileReady(_) | Stage::Unloaded => {}
        }
        self.drop_empty(id);
    }

    /// The message has an outcome: what its file has turned out to be, where it had one.
    pub(super) fn end(&mut self, id: MessageId) -> Option<Box<FileFacts>> {
        let entry = self.0.get_mut(&id)?;
        if let Stage::PreparingFile(job) = &entry.stage {
            job.abort();
            return entry.facts.take();
        }
        self.0.remove(&id)?.facts
    }

    /// Forgets what is not in flight any more, and the files that are not wanted.
    pub(super) fn retain(
        &mut self,
        is_in_flight: impl Fn(MessageId) -> bool,
        wants_file: impl Fn(MessageId) -> bool,
    ) {
        self.0.retain(|id, entry| {
            let is_in_flight = is_in_flight(*id);
            match &entry.stage {
                Stage::PreparingFile(job) => {
                    if !wants_file(*id) {
                        job.abort();
                    }
                    entry.facts = entry.facts.take().filter(|_| is_in_flight);
                    return true;
                }
                Stage::FileReady(_) if !wants_file(*id) => entry.stage = Stage::Unloaded,
                Stage::FileReady(_) | Stage::Loaded(..) | Stage::Submitted | Stage::Unloaded => {}
            }
            is_in_flight
        });
    }

    fn set(&mut self, id: MessageId, stage: Stage) {
        let facts = self.0.remove(&id).and_then(|entry| entry.facts);
        self.0.insert(id, Entry { stage, facts });
    }

    /// Forgets an entry that says nothing.
    fn drop_empty(&mut self, id: MessageId) {
        let says_nothing =
            |entry: &Entry| matches!(entry.stage, Stage::Unloaded) && entry.facts.is_none();
        if self.0.get(&id).is_some_and(says_nothing) {
            self.0.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MessageId = MessageId(7);

    #[test]
    fn an_aborted_file_job_stays_until_it_has_reported() {
        let mut in_flight = InFlight::default();
        let (job, _registration) = AbortHandle::new_pair();
        in_flight.file_job_began(ID, job.clone());
        in_flight.retain(|_| true, |_| true);
        assert!(!job.is_aborted());
        assert_eq!(in_flight.end(ID), None);
        assert!(job.is_aborted());
        in_flight.retain(|_| false, |_| false);
        assert!(in_flight.is_preparing_file(ID), "no second job beside it");
        in_flight.file_job_ended(ID);
        assert!(in_flight.0.is_empty());
    }

    #[test]
    fn a_file_job_that_is_not_wanted_is_aborted() {
        let mut in_flight = InFlight::default();
        let (job, _registration) = AbortHandle::new_pair();
        in_flight.file_job_began(ID, job.clone());
        in_flight.retain(|_| true, |_| false);
        assert!(job.is_aborted());
    }
}
