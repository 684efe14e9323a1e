//! An account that from now on addresses people by LID: its phone sends its devices the LIDs of its chats.

use rusqlite::params;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;

use crate::address::Number;
use crate::clock;
use crate::error::Result;
use crate::limits::MIGRATED_CHATS_MAX;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Sends the linked devices of a number the LIDs of the people who have written to it.
    pub(super) fn announce_migration(&mut self, number: Number) -> Result<()> {
        let mut mappings = Vec::new();
        for peer in self.writers_to(number)? {
            if !self.phone(peer)?.hidden {
                mappings.push(wa::LIDMigrationMapping {
                    pn: peer.sql().unsigned_abs(),
                    assigned_lid: self.lid_jid(peer).user.parse().unwrap_or_default(),
                    latest_lid: None,
                });
            }
        }
        let payload = wa::LIDMigrationMappingSyncPayload {
            pn_to_lid_mappings: mappings,
            chat_db_migration_timestamp: u64::try_from(clock::unix_s()).ok(),
        };
        let sync = wa::LIDMigrationMappingSyncMessage {
            encoded_mapping_payload: Some(payload.encode_to_vec()),
        };
        let message = wa::Message {
            protocol_message: MessageField::some(wam::ProtocolMessage {
                r#type: Some(wam::protocol_message::Type::LID_MIGRATION_MAPPING_SYNC),
                lid_migration_mapping_sync_message: MessageField::some(sync),
                ..Default::default()
            }),
            ..Default::default()
        };
        for device in self.linked_devices(number)? {
            self.send_to_own_device(device, &message)?;
        }
        Ok(())
    }

    fn writers_to(&self, number: Number) -> Result<Vec<Number>> {
        let sql = "SELECT DISTINCT sender FROM inbox WHERE number = ?1 AND sender <> ?1 LIMIT ?2";
        let mut query = self.db.prepare_cached(sql)?;
        let key = params![number.sql(), MIGRATED_CHATS_MAX];
        let rows = query.query_map(key, |row| Ok(Number::from_sql(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
