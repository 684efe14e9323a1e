//! Polls: the key with which votes are hidden from WhatsApp.

use domain::ids::WhatsappId;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use whatsapp_rust::Client;

/// The secret of a poll that the device sends. It is derived, not stored: the same on every attempt,
/// and there is nothing to erase.
pub(crate) fn poll_secret(client: &Client, id: &WhatsappId) -> [u8; 32] {
    let device = client.persistence_manager().get_device_snapshot();
    derived(device.identity_key.private_key.serialize(), id)
}

fn derived(key: &[u8], id: &WhatsappId) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(b"poll ");
    mac.update(id.as_str().as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_poll_has_a_secret_of_its_own() {
        let [one, two] = ["A", "B"].map(|id| WhatsappId(id.into()));
        let secret = derived(&[7; 32], &one);
        assert_eq!(secret, derived(&[7; 32], &one));
        assert_ne!(secret, derived(&[7; 32], &two));
        assert_ne!(secret, derived(&[8; 32], &one));
    }
}
