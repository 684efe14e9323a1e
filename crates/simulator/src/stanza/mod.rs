//! Handlers of stanzas: one file per concern, all methods of the switchboard.
//!
//! Invariant: every stanza of a client is answered, ignored on purpose, or ends its connection;
//! none ends the process.

mod app_state;
mod call;
mod chatstate;
mod settings;
mod struck;
pub(crate) use chatstate::{Typing, TypingSeen};
mod group_admin;
pub(crate) mod groups;
mod keys;
pub(crate) use keys::{Bundle, bundle_in_retry, retry_keys};
mod login;
mod media;
pub(crate) use media::MediaHosts;
mod message;
mod origin;
mod pairing;
pub(crate) mod passkey;
mod pings;
mod presence;
mod receipt;
pub(crate) mod tokens;
mod usync;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContentRef, NodeRef, Server};

use crate::control::rules::Struck;
use crate::error::Result;
use crate::switchboard::{ConnId, StanzaClass, Switchboard};

/// An attribute's text; empty when missing.
pub(crate) fn attr(node: &NodeRef<'_>, key: &str) -> String {
    node.get_attr(key).map(|value| value.as_str().into_owned()).unwrap_or_default()
}

/// An attribute that is a JID.
pub(crate) fn jid_attr(node: &NodeRef<'_>, key: &str) -> Option<Jid> {
    node.get_attr(key)?.to_jid()
}

/// A node's content as bytes, also when it was sent as text.
pub(crate) fn bytes_of(node: &NodeRef<'_>) -> Vec<u8> {
    match &node.content {
        Some(NodeContentRef::Bytes(bytes)) => bytes.to_vec(),
        Some(NodeContentRef::String(text)) => text.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// The bytes in the child `tag`; empty when missing.
pub(crate) fn child_bytes(node: &NodeRef<'_>, tag: &str) -> Vec<u8> {
    node.get_optional_child(tag).map(bytes_of).unwrap_or_default()
}

/// A node's children.
pub(crate) fn children<'n, 'a>(node: &'n NodeRef<'a>) -> &'n [NodeRef<'a>] {
    node.children().unwrap_or_default()
}

/// `<iq type=result>` for `request`.
pub(crate) fn result(request: &NodeRef<'_>, content: Vec<Node>) -> Node {
    let from = jid_attr(request, "to").unwrap_or_else(server);
    let iq = NodeBuilder::new("iq")
        .attr("type", "result")
        .attr("id", attr(request, "id"))
        .attr("from", from);
    match content.is_empty() {
        true => iq.build(),
        false => iq.children(content).build(),
    }
}

/// `<iq type=error>` for `request`.
pub(crate) fn error(request: &NodeRef<'_>, code: u16, text: &'static str) -> Node {
    let error = NodeBuilder::new("error").attr("code", code.to_string()).attr("text", text).build();
    NodeBuilder::new("iq")
        .attr("type", "error")
        .attr("id", attr(request, "id"))
        .attr("from", jid_attr(request, "to").unwrap_or_else(server))
        .children([error])
        .build()
}

/// The group that a query about pictures is about.
fn group_of(node: &NodeRef<'_>) -> Option<Jid> {
    jid_attr(node, "target").filter(|jid| jid.server == Server::Group)
}

/// `s.whatsapp.net`
pub(crate) fn server() -> Jid {
    Jid::pn("")
}

impl Switchboard {
    /// One stanza of a client, as its faults leave it.
    pub(super) fn handle_stanza(
        &mut self,
        conn: ConnId,
        node: &NodeRef<'_>,
        struck: Struck,
    ) -> Result<()> {
        let outcome = match &*node.tag {
            "iq" => self.on_iq(conn, node),
            "message" => self.on_message(conn, node, struck),
            "receipt" => self.on_receipt(conn, node, struck),
            "chatstate" => self.on_chatstate(conn, node),
            "ack" => self.on_ack(conn, node),
            "presence" => self.on_presence(conn, node),
            "call" => self.on_call(conn, node),
            // `ib` (unified session), `stream:…`: nothing here depends on them.
            _ => Ok(()),
        };
        if let Err(error) = &outcome {
            let tag = &*node.tag;
            tracing::debug!(%error, tag, "a stanza failed");
            self.answer_failure(conn, node);
        }
        outcome
    }

    /// Answers a failed stanza, whose own writes and answers are rolled back.
    fn answer_failure(&mut self, conn: ConnId, node: &NodeRef<'_>) {
        let answer = match &*node.tag {
            "iq" => error(node, 500, "internal-server-error"),
            "message" => message::nack(node, 500),
            _ => return,
        };
        self.put_out(conn, answer);
    }

    fn on_iq(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let kind = attr(node, "type");
        if kind == "result" || kind == "error" {
            return self.on_iq_answer(conn, node);
        }
        let space = attr(node, "xmlns");
        let first = children(node).first().map(|child| child.tag.to_string());
        let Some(device) = self.device_of(conn) else {
            return match (&*space, first.as_deref()) {
                ("md", Some("link_code_companion_reg")) => self.on_link_code(conn, node),
                (
                    "md",
                    Some(
                        step @ ("ref"
                        | "passkey_request_options"
                        | "passkey_prologue"
                        | "companion_nonce"
                        | "encrypted_pairing_request"),
                    ),
                ) => self.on_passkey(conn, step, node),
                ("w:p" | "urn:xmpp:ping", _) => self.answer(conn, result(node, vec![])),
                _ => self.answer(conn, error(node, 401, "not-authorized")),
            };
        };
        match (&*space, first.as_deref()) {
            ("encrypt", _) => self.on_keys(conn, device, node),
            ("usync", _) => self.on_usync(conn, device, node),
            ("passive", Some(mode @ ("active" | "passive"))) => {
                self.on_passive(conn, mode == "passive", node)
            }
            ("w:sync:app:state", _) => self.on_app_state(conn, device, node),
            ("w:g2", _) => self.on_groups(conn, device, node),
            ("w:profile:picture", _) if kind == "set" && group_of(node).is_some() => {
                let group = group_of(node).unwrap_or_else(server);
                let answer = self.on_group_picture(device.number, &group, node)?;
                self.answer(conn, answer)
            }
            ("w:m", _) => self.on_media_conn(conn, device, node),
            ("privacy", Some("tokens")) => self.on_tokens(conn, device, node),
            ("w:mex", _) => self.on_mex(conn, node),
            ("md", Some("remove-companion-device")) => self.on_remove_device(conn, device, node),
            ("urn:xmpp:whatsapp:dirty", Some("clean")) => {
                self.on_clean(device, node)?;
                self.answer(conn, result(node, vec![]))
            }
            _ => {
                let answer = self.setting(device, node, &space, first.as_deref())?;
                self.answer(conn, answer)
            }
        }
    }

    /// Sends an answer after the commit.
    fn answer(&mut self, conn: ConnId, node: Node) -> Result<()> {
        self.send(conn, node);
        Ok(())
    }

    /// A client acknowledges a stanza.
    fn on_ack(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let class = StanzaClass::parse(&attr(node, "class"));
        let (Some(device), Some(class)) = (self.device_of(conn), class) else {
            return Ok(());
        };
        self.mail_taken(device, class, &attr(node, "id"), &attr(node, "type"))
    }
}
