//! Who said what: the clients' acknowledgements, the gateway's rows, the phones' inboxes.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::load::{Acknowledged, Sends};

/// What the clients know.
#[derive(Default)]
pub struct Ledger {
    /// Sends that were answered with 2xx.
    pub acknowledged: Vec<Acknowledged>,
    /// Texts that phones have sent to our devices.
    pub written_to_us: Vec<String>,
    unanswered: Vec<String>,
    refused: Vec<String>,
}

impl Ledger {
    /// Adds a round.
    pub fn add(&mut self, sends: Sends) {
        self.acknowledged.extend(sends.acknowledged);
        self.unanswered.extend(sends.unanswered);
        self.refused.extend(sends.refused);
    }

    /// How much there is.
    pub fn summary(&self) -> String {
        format!("{} acknowledged, {} unanswered", self.acknowledged.len(), self.unanswered.len())
    }

    /// Everything that does not agree; empty is good.
    pub fn compare(
        &mut self,
        sent: &[Value],
        received: &[Value],
        inboxes: &[Value],
        usage: &Value,
    ) -> Vec<String> {
        let inboxes: Vec<Value> = inboxes.iter().map(with_caption).collect();
        let mut findings = std::mem::take(&mut self.refused);
        findings.extend(doubles("row", "whatsapp_id", sent));
        findings.extend(doubles("row", "text", sent));
        findings.extend(doubles("phones", "id", &inboxes));
        findings.extend(doubles("phones", "text", &inboxes));
        findings.extend(doubles("received row", "text", received));
        findings.extend(self.lost_rows(sent));
        findings.extend(on_phones(sent, &inboxes));
        findings.extend(
            inboxes
                .iter()
                .filter(|row| !is_its_file(row))
                .map(|row| format!("another file: {row}")),
        );
        let texts: HashSet<&str> = received.iter().filter_map(|row| row["text"].as_str()).collect();
        let lost = self.written_to_us.iter().filter(|text| !texts.contains(text.as_str()));
        findings.extend(lost.map(|text| format!("lost on the way in: {text}")));
        let known: HashSet<&str> = self.texts().collect();
        let unknown = sent.iter().filter(|row| !known.contains(row["text"].as_str().unwrap()));
        findings.extend(unknown.map(|row| format!("a row without a request: {row}")));
        for period in ["day", "month"] {
            let used = usage[period]["used"].as_u64();
            // At midnight a day's count starts anew.
            let may_be_less = period == "day" && used < Some(sent.len() as u64);
            if used != Some(sent.len() as u64) && !may_be_less {
                findings.push(format!("{} rows, but usage says {usage}", sent.len()));
            }
        }
        findings
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let acknowledged = self.acknowledged.iter().map(|send| send.text.as_str());
        acknowledged.chain(self.unanswered.iter().map(String::as_str))
    }

    /// Every acknowledged send is a row, with the ids that were promised.
    fn lost_rows(&self, sent: &[Value]) -> Vec<String> {
        let rows: HashMap<i64, &Value> =
            sent.iter().map(|row| (row["id"].as_i64().unwrap(), row)).collect();
        let is_kept = |send: &&Acknowledged| {
            rows.get(&send.id).is_some_and(|row| {
                row["text"] == send.text.as_str()
                    && row["to"].as_str().is_some_and(|to| to.starts_with(&send.to))
                    && send.whatsapp_id.as_deref().is_none_or(|id| row["whatsapp_id"] == id)
            })
        };
        self.acknowledged
            .iter()
            .filter(|send| !is_kept(send))
            .map(|send| {
                let row = rows.get(&send.id);
                format!("acknowledged {} ({:?}), the row is {row:?}", send.text, send.whatsapp_id)
            })
            .collect()
    }
}

/// What a phone has received, with a file's caption as its text.
fn with_caption(row: &Value) -> Value {
    let mut row = row.clone();
    if row["text"].is_null() {
        let caption = row["caption"].take();
        row["text"] = caption;
    }
    row
}

/// Whether a document is the file that was sent: it holds its caption.
fn is_its_file(row: &Value) -> bool {
    row["kind"] != "document"
        || row["text"]
            .as_str()
            .is_some_and(|text| row["sha256"] == hex::encode(Sha256::digest(text)))
}

/// Rows and phones agree: each row is on a phone, which has read it, and nothing else is there.
fn on_phones(sent: &[Value], inboxes: &[Value]) -> Vec<String> {
    let texts = |rows: &[Value], id: &str| -> HashMap<String, Value> {
        rows.iter().map(|row| (row[id].as_str().unwrap().to_owned(), row["text"].clone())).collect()
    };
    let arrived = texts(inboxes, "id");
    let rows = texts(sent, "whatsapp_id");
    let is_there =
        |row: &Value| arrived.get(row["whatsapp_id"].as_str().unwrap()) == Some(&row["text"]);
    let lost = sent.iter().filter(|row| row["status"] != "read" || !is_there(row));
    let unknown = inboxes.iter().filter(|row| !rows.contains_key(row["id"].as_str().unwrap()));
    lost.map(|row| format!("not read, or not on its phone: {row}"))
        .chain(unknown.map(|row| format!("on a phone, but no row: {row}")))
        .collect()
}

fn doubles(what: &str, field: &str, rows: &[Value]) -> Vec<String> {
    let mut seen = HashSet::new();
    rows.iter()
        .filter(|row| !seen.insert(row[field].as_str().unwrap_or_default()))
        .map(|row| format!("{what} doubled by {field}: {row}"))
        .collect()
}
