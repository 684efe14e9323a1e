//! A linked device asks its phone for a file that the media hosts have no longer.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use wacore::crypto::hkdf_sha256_into;
use wacore::media_retry::decrypt_media_retry_notification;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use wacore_libsignal::crypto::aes_256_gcm_encrypt;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::media_retry_notification::ResultType;

use super::views;
use crate::address::DeviceAddr;
use crate::clock;
use crate::error::{Result, SimulatorError};
use crate::stanza::{attr, bytes_of};
use crate::switchboard::{ConnId, Switchboard};

/// What the key of requests and answers is derived for.
const KEY_INFO: &[u8] = b"WhatsApp Media Retry Notification";
/// The code of a phone that does not have the file.
const NOT_FOUND: &str = "2";

impl Switchboard {
    /// The phone uploads the file once more and answers with its new address; one that is off says nothing.
    pub(crate) fn on_media_retry(
        &mut self,
        conn: ConnId,
        by: DeviceAddr,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let number = by.number.owner();
        if !self.phone(number)?.online {
            return Ok(());
        }
        let id = attr(node, "id");
        let answer = self.uploaded_again(by, &id, node)?;
        let error = || NodeBuilder::new("error").attr("code", NOT_FOUND).build();
        let notification = NodeBuilder::new("notification")
            .attr("type", "mediaretry")
            .attr("id", id)
            .attr("from", number.jid())
            .attr("t", clock::unix_s().to_string())
            .children([answer.unwrap_or_else(error)])
            .build();
        self.send(conn, notification);
        Ok(())
    }

    /// The answer to a request that holds; `None` when the phone does not have the file.
    fn uploaded_again(&self, by: DeviceAddr, id: &str, node: &NodeRef<'_>) -> Result<Option<Node>> {
        let content = views::content(&self.db, by.number.owner(), id)?;
        let Some((kind, media)) = content.and_then(|content| Some((content.kind, content.media?)))
        else {
            return Ok(None);
        };
        let key = BASE64_STANDARD.decode(&media.media_key).unwrap_or_default();
        let sealed = node.get_optional_child("encrypt");
        let part = |tag| sealed?.get_optional_child(tag).map(bytes_of);
        let (text, iv) = part("enc_p").zip(part("enc_iv")).unwrap_or_default();
        decrypt_media_retry_notification(&key, id, &iv, &text)
            .map_err(|_| SimulatorError::Protocol("a request for a file that does not open"))?;
        let Some(direct_path) = self.media.upload_again(&media.direct_path, &kind) else {
            return Ok(None);
        };
        let answer = wa::MediaRetryNotification {
            stanza_id: Some(id.to_owned()),
            direct_path: Some(direct_path),
            result: Some(ResultType::SUCCESS),
            ..Default::default()
        };
        sealed_answer(&key, id, &answer.encode_to_vec()).map(Some)
    }
}

fn sealed_answer(media_key: &[u8], id: &str, plain: &[u8]) -> Result<Node> {
    let fault = |_| SimulatorError::Internal("an answer cannot be sealed".to_owned());
    let (mut key, iv) = ([0; 32], clock::random_bytes::<12>());
    hkdf_sha256_into(media_key, None, KEY_INFO, &mut key)
        .map_err(|_| SimulatorError::Internal("a key cannot be derived".to_owned()))?;
    let mut sealed = Vec::new();
    aes_256_gcm_encrypt(&key, &iv, id.as_bytes(), plain, &mut sealed).map_err(fault)?;
    let parts = [("enc_p", sealed), ("enc_iv", iv.to_vec())];
    let parts = parts.map(|(tag, bytes)| NodeBuilder::new(tag).bytes(bytes).build());
    Ok(NodeBuilder::new("encrypt").children(parts).build())
}
