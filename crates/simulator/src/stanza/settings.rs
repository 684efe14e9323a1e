//! Settings and the rest of what clients ask for: answers of a server that keeps none, empty but of the
//! right shape. What is not listed here gets an error, as from the service.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

use super::tokens::TOKENS_PROP;
use super::{attr, error, result};
use crate::address::{DeviceAddr, Number};
use crate::error::Result;
use crate::switchboard::Switchboard;

/// The switch of an account that addresses people by LID.
const LID_MIGRATION_PROP: &str = "9435";
/// Switches that every account has: tokens go with messages to strangers, for four weeks.
const PROPS: [(&str, &str); 5] =
    [("865", "604800"), ("909", "4"), ("996", "604800"), ("997", "4"), (TOKENS_PROP, "1")];
/// How soon a client asks for its switches again, in seconds.
const PROPS_REFRESH_S: &str = "86400";

impl Switchboard {
    /// The answer to a query about settings.
    pub(super) fn setting(
        &self,
        device: DeviceAddr,
        node: &NodeRef<'_>,
        space: &str,
        first: Option<&str>,
    ) -> Result<Node> {
        let is_get = attr(node, "type") == "get";
        let content = match (space, first) {
            ("abt" | "w", Some("props")) => vec![self.props(device.number)?],
            ("blocklist", _) => vec![NodeBuilder::new("list").build()],
            ("privacy", Some("privacy")) if is_get => vec![NodeBuilder::new("privacy").build()],
            ("privacy", Some("privacy" | "tokens")) => vec![],
            ("w:profile:picture", _) if is_get => return Ok(error(node, 404, "item-not-found")),
            ("w:profile:picture", _) => vec![NodeBuilder::new("picture").attr("id", "1").build()],
            ("w:biz", _) if is_get => vec![NodeBuilder::new("business_profile").build()],
            ("w:p" | "urn:xmpp:ping", _) => vec![],
            ("w:stats" | "status" | "disappearing_mode" | "tos" | "w:auth:backup", _) => vec![],
            ("", _) => return Ok(error(node, 400, "bad-request")),
            _ => return Ok(error(node, 501, "feature-not-implemented")),
        };
        Ok(result(node, content))
    }

    /// The switches of an account.
    fn props(&self, number: Number) -> Result<Node> {
        let migrated = if self.is_migrated(number)? { "1" } else { "0" };
        let props = PROPS.into_iter().chain([(LID_MIGRATION_PROP, migrated)]);
        let props = props.map(|(code, value)| {
            NodeBuilder::new("prop").attr("config_code", code).attr("config_value", value).build()
        });
        Ok(NodeBuilder::new("props")
            .attr("protocol", "1")
            .attr("ab_key", "simulator")
            .attr("hash", format!("simulator{migrated}"))
            .attr("refresh", PROPS_REFRESH_S)
            .attr("refresh_id", "1")
            .children(props)
            .build())
    }
}
