//! Numbers with two spellings: an account has one of them, and WhatsApp answers both with it.

use domain::contact::Spelling;
use domain::message::Receipt;
use domain::phone::PhoneNumber;
use domain::ports::{Messenger, MessengerEvent};
use serde_json::{Value, json};

use crate::world::{OURS, World, chat};

/// What may be written, and the account's own.
const SPELLINGS: [(&str, [&str; 2]); 4] = [
    ("Brazil's ninth digit", ["5511987654321", "551187654321"]),
    ("Mexico's 1, of an old account", ["525512345678", "5215512345678"]),
    ("Mexico's 1, of a new account", ["5215587654321", "525587654321"]),
    ("Argentina's 9", ["541123456789", "5491123456789"]),
];

#[tokio::test]
async fn a_second_spelling_is_written_to_as_the_account_is_known() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let other = world.link("628110000009").await;
    for (what, [written, known]) in SPELLINGS {
        world.sim.put_phone(written, json!({ "answers_as": known })).await;
        let [spelling, phone] = [written, known].map(PhoneNumber::from_digits);
        for asked in [&spelling, &phone] {
            let found = world.messenger.find_number(device, asked).await;
            assert_eq!(found, Ok(Some(phone.clone())), "{what}");
        }
        for to in [written, known] {
            let id = world.send(device, &chat(to), "Halo").await;
            world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
            world.recorder.receipt(device, &id, Receipt::Delivered).await;
            assert_eq!(world.sim.mail(known, &id).await["text"], "Halo", "{what}: {to}");
        }
        assert_eq!(world.sim.inbox(written).await, Vec::<Value>::new(), "{what}");
        // An answer is of the same chat.
        let answer = world.sim.write(known, OURS, "Halo juga").await;
        let answer = world.recorder.message(&answer).await;
        assert_eq!(
            (answer.chat, answer.sender.phone.as_ref()),
            (chat(known), Some(&phone)),
            "{what}"
        );
        // Another device is answered from the same cache, and learns it as well; each once.
        let found = world.messenger.find_number(other, &spelling).await;
        assert_eq!(found, Ok(Some(phone.clone())), "{what}");
        let reported = std::mem::take(&mut *world.recorder.spelled.lock().unwrap());
        let spelled =
            |device| (device, Spelling { spelling: spelling.clone(), phone: phone.clone() });
        assert_eq!(reported, [spelled(device), spelled(other)], "{what}");
    }
}
