//! What is logged of a message on its way, and what never is.

use std::io;
use std::sync::{Arc, Mutex};

use domain::message::{MessageState, Receipt};
use domain::ports::{Clock, SendError};
use testkit::scripted_messenger::Answer;
use tracing_subscriber::fmt::MakeWriter;

use crate::test_gateway::TestGateway;

const TO: &str = "628123456789";
const TEXT: &str = "a secret text";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Those that hold all of these words.
    fn with(&self, words: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
        text.lines().filter(has_all).map(ToOwned::to_owned).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn subscriber(lines: &Lines) -> impl tracing::Subscriber + use<> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish()
}

#[tokio::test(start_paused = true)]
async fn a_receipt_before_the_acknowledgement_leaves_the_line_of_the_sent_message() {
    let lines = Lines::default();
    let _logs = tracing::subscriber::set_default(subscriber(&lines));
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let message = gateway.send(device, TO, TEXT).await;
    gateway.messenger.until_sent(1).await;
    for receipt in [Receipt::Delivered, Receipt::Read] {
        let now = gateway.clock.now();
        gateway.messenger.receipt(device, &message.whatsapp_id, receipt, now);
    }
    gateway.until_state(message.id, MessageState::Read).await;
    gateway.engine.shutdown().await;
    let id = format!("message_id={}", message.id);
    assert_eq!(lines.with(&[" INFO ", ": sent ", &id]).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_message_can_be_followed_by_its_id() {
    let lines = Lines::default();
    let _logs = tracing::subscriber::set_default(subscriber(&lines));
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_next([Answer::Fail(SendError::Temporary("no keys yet".into()))]);
    let message = gateway.send(device, TO, TEXT).await;
    gateway.until_state(message.id, MessageState::Sent).await;
    let now = gateway.clock.now();
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Read, now);
    gateway.until_state(message.id, MessageState::Read).await;
    gateway.engine.shutdown().await;

    let id = format!("message_id={}", message.id);
    let steps = [
        ": accepted ",
        ": queued ",
        ": picked ",
        ": sending ",
        "attempt=1",
        ": not submitted ",
        ": attempt failed ",
        "attempt=2",
        ": submitted ",
        ": acknowledged ",
        ": sent ",
        ": read ",
    ];
    let spans = [format!("device={device}"), format!("account={}", gateway.account)];
    for step in steps {
        let found = lines.with(&[&id, step]);
        assert!(!found.is_empty(), "{step}");
        // Accepted by a request, which has a span of its own.
        let spans = if step == ": accepted " { &spans[..1] } else { &spans[..] };
        assert!(found.iter().all(|line| spans.iter().all(|span| line.contains(span))), "{found:?}");
    }
    assert_eq!(lines.with(&[" INFO ", &id]).len(), 1, "one line of each message is always logged");
    for secret in [TEXT, TO] {
        assert!(lines.with(&[secret]).is_empty(), "{secret} is in the log");
    }
}
