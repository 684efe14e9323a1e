//! What WhatsApp and recipients' phones report about messages.

use jiff::Timestamp;
use tokio::sync::oneshot;

use domain::ids::WhatsappId;
use domain::message::Receipt;
use domain::ports::StoreResult;

use super::DeviceTask;
use super::journal::Write;

impl DeviceTask {
    /// WhatsApp has the message.
    pub(super) fn acknowledged(&mut self, whatsapp_id: &WhatsappId) {
        // It may have been accepted, sent by an earlier process and not been taken in yet.
        self.take_arrivals();
        let now = self.now();
        match self.outbox.queue_mut().acknowledged(whatsapp_id, now) {
            Some(message_id) => tracing::debug!(%message_id, %whatsapp_id, "acknowledged"),
            None => {
                tracing::debug!(%whatsapp_id, "acknowledgement of a message that does not wait")
            }
        }
    }

    /// WhatsApp refused the message, with its code.
    pub(super) fn refused(&mut self, whatsapp_id: &WhatsappId, code: u16) {
        let now = self.now();
        if let Some(message_id) = self.outbox.queue_mut().refused(whatsapp_id, code, now) {
            tracing::debug!(%message_id, %whatsapp_id, code, "refused");
        }
    }

    /// A recipient's phone reported messages. Answered when that is durable; the line of a message
    /// that has left the outbox is written then, for only the store knows its id.
    pub(super) fn receipt(
        &mut self,
        whatsapp_ids: Vec<WhatsappId>,
        receipt: Receipt,
        at: Timestamp,
        reply: oneshot::Sender<StoreResult<()>>,
    ) {
        let now = self.now();
        self.take_arrivals();
        for whatsapp_id in whatsapp_ids {
            match self.outbox.queue_mut().receipt(&whatsapp_id, receipt, at, now) {
                Some(message_id) => {
                    tracing::debug!(%message_id, %whatsapp_id, ?receipt, "receipt before acknowledgement");
                }
                None => {
                    tracing::debug!(%whatsapp_id, ?receipt, "receipt");
                    self.records.push(Write::Receipt(whatsapp_id, receipt, at));
                }
            }
        }
        self.records.answer_when_durable(reply);
    }
}
