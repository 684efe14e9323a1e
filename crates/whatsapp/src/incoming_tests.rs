use super::*;
use domain::structured::{Structured, Unnamed};
use wacore::types::message::MessageSource;
use waproto::buffa::MessageField;
use waproto::whatsapp::message as m;

struct Book(&'static [(&'static str, &'static str)]);

impl Names for Book {
    fn phone(&self, lid: &str) -> Option<String> {
        self.0.iter().find(|(l, _)| *l == lid).map(|(_, phone)| (*phone).to_owned())
    }

    fn lid(&self, phone: &str) -> Option<String> {
        self.0.iter().find(|(_, p)| *p == phone).map(|(lid, _)| (*lid).to_owned())
    }
}

const NOBODY: Book = Book(&[]);

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn me() -> Me {
    Me { pn: Some(jid("628111:7@s.whatsapp.net")), lid: Some(jid("100:7@lid")) }
}

fn text(text: &str) -> wa::Message {
    wa::Message { conversation: Some(text.to_owned()), ..Default::default() }
}

fn info(source: MessageSource) -> MessageInfo {
    MessageInfo {
        id: "M1".to_owned(),
        timestamp: wacore::time::from_secs(1_700_000_000).unwrap(),
        source,
        ..Default::default()
    }
}

fn from_to(sender: &str, chat: &str) -> MessageSource {
    MessageSource { chat: jid(chat), sender: jid(sender), ..Default::default() }
}

fn address(phone: &str, lid: &str) -> Address {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Address { phone: some(phone).map(PhoneNumber::from_digits), lid: some(lid).map(Lid::from_jid) }
}

/// Kind and text of what a message says.
fn read(message: &wa::Message) -> Option<(ContentKind, String)> {
    content(message).map(|content| (content.kind(), content.text().to_owned()))
}

/// The chat and the sender that a text message gets.
fn place(source: MessageSource, names: &Book) -> (String, Address) {
    let incoming = translate(&text("x"), &info(source), &me(), names).unwrap();
    (incoming.chat.to_string(), incoming.sender)
}

#[test]
fn a_person_has_one_chat_by_phone_number() {
    let book = Book(&[("200", "628222")]);
    let by_lid = || from_to("200:3@lid", "200@lid");
    let cases = [
        (from_to("628222:3@s.whatsapp.net", "628222@s.whatsapp.net"), &NOBODY, "628222", ""),
        (from_to("628222:3@s.whatsapp.net", "628222@s.whatsapp.net"), &book, "628222", "200@lid"),
        (by_lid(), &book, "628222", "200@lid"),
        (by_lid(), &NOBODY, "", "200@lid"),
        (
            MessageSource { sender_alt: Some(jid("628222@s.whatsapp.net")), ..by_lid() },
            &NOBODY,
            "628222",
            "200@lid",
        ),
    ];
    for (source, names, phone, lid) in cases {
        let chat =
            if phone.is_empty() { lid.to_owned() } else { format!("{phone}@s.whatsapp.net") };
        assert_eq!(place(source, names), (chat, address(phone, lid)));
    }
}

#[test]
fn what_the_owner_wrote_elsewhere_is_in_the_recipients_chat() {
    let own = MessageSource {
        is_from_me: true,
        recipient: Some(jid("200@lid")),
        recipient_alt: Some(jid("628222@s.whatsapp.net")),
        ..from_to("100@lid", "200@lid")
    };
    let incoming = translate(&text("x"), &info(own), &me(), &NOBODY).unwrap();
    assert_eq!(incoming.origin, ReceivedOrigin::Phone);
    assert_eq!(incoming.chat.to_string(), "628222@s.whatsapp.net");
    assert_eq!(incoming.sender, address("628111", "100@lid"));
}

#[test]
fn a_group_keeps_its_address_and_names_the_writer() {
    let group = MessageSource {
        is_group: true,
        sender_alt: Some(jid("628222@s.whatsapp.net")),
        ..from_to("200:1@lid", "120363@g.us")
    };
    let expected = ("120363@g.us".to_owned(), address("628222", "200@lid"));
    assert_eq!(place(group, &NOBODY), expected);
}

#[test]
fn a_broadcast_is_in_the_writers_chat_and_a_story_nowhere() {
    let broadcast = from_to("628222@s.whatsapp.net", "1234@broadcast");
    assert_eq!(place(broadcast, &NOBODY).0, "628222@s.whatsapp.net");
    let story = from_to("628222@s.whatsapp.net", "status@broadcast");
    assert_eq!(translate(&text("x"), &info(story), &me(), &NOBODY), None);
}

#[test]
fn id_and_time_are_whatsapps() {
    let source = from_to("628222@s.whatsapp.net", "628222@s.whatsapp.net");
    let incoming = translate(&text("Halo"), &info(source), &me(), &NOBODY).unwrap();
    assert_eq!(incoming.whatsapp_id, WhatsappId("M1".to_owned()));
    assert_eq!(incoming.at, Timestamp::from_second(1_700_000_000).unwrap());
    assert_eq!((incoming.content.kind(), incoming.content.text()), (ContentKind::Text, "Halo"));
    assert_eq!(incoming.origin, ReceivedOrigin::Incoming);
}

fn wrapped(inner: wa::Message) -> MessageField<m::FutureProofMessage> {
    let message = MessageField::some(inner);
    MessageField::some(m::FutureProofMessage { message })
}

macro_rules! message {
    ($field:ident: $type:ident { $($inner:ident: $value:expr),* }) => {
        wa::Message {
            $field: MessageField::some(m::$type { $($inner: $value,)* ..Default::default() }),
            ..Default::default()
        }
    };
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn kinds_and_texts() {
    use ContentKind as K;
    let cases = [
        (text("a"), K::Text, "a"),
        (message!(extended_text_message: ExtendedTextMessage { text: some("b") }), K::Text, "b"),
        (message!(image_message: ImageMessage { caption: some("c") }), K::Image, "c"),
        (message!(image_message: ImageMessage {}), K::Image, ""),
        (message!(video_message: VideoMessage { caption: some("d") }), K::Video, "d"),
        (message!(ptv_message: VideoMessage {}), K::Video, ""),
        (message!(audio_message: AudioMessage {}), K::Audio, ""),
        (message!(audio_message: AudioMessage { ptt: Some(true) }), K::Voice, ""),
        (message!(document_message: DocumentMessage { caption: some("e") }), K::Document, "e"),
        (message!(sticker_message: StickerMessage {}), K::Sticker, ""),
        (message!(location_message: LocationMessage { name: some("Monas") }), K::Other, "Monas"),
        (
            message!(comment_message: CommentMessage { message: MessageField::some(text("bagus")) }),
            K::Other,
            "bagus",
        ),
        (
            message!(contact_message: ContactMessage { display_name: some("Ani") }),
            K::Contact,
            "Ani",
        ),
        (message!(reaction_message: ReactionMessage { text: some("👍") }), K::Reaction, "👍"),
        (message!(reaction_message: ReactionMessage { text: some("") }), K::Reaction, ""),
        (message!(poll_creation_message: PollCreationMessage { name: some("?") }), K::Poll, "?"),
        (
            message!(template_button_reply_message: TemplateButtonReplyMessage {
                selected_display_text: some("Ya")
            }),
            K::Answer,
            "Ya",
        ),
        (
            message!(list_response_message: ListResponseMessage { title: some("Soto") }),
            K::Answer,
            "Soto",
        ),
        (message!(order_message: OrderMessage { message: some("dua") }), K::Order, "dua"),
        (message!(order_message: OrderMessage { order_title: some("Toko") }), K::Order, "Toko"),
        (
            message!(group_invite_message: GroupInviteMessage { group_name: some("Tim") }),
            K::GroupInvite,
            "Tim",
        ),
        (message!(event_message: EventMessage { name: some("Rapat") }), K::Event, "Rapat"),
        (message!(album_message: AlbumMessage { expected_image_count: Some(2) }), K::Album, ""),
        (message!(product_message: ProductMessage { body: some("Soto") }), K::Other, "Soto"),
        (
            message!(product_message: ProductMessage { footer: some("x") }),
            K::Other,
            "productMessage",
        ),
        (message!(invoice_message: InvoiceMessage { note: some("lunas") }), K::Other, "lunas"),
        (
            message!(request_payment_message: RequestPaymentMessage {
                note_message: MessageField::some(text("untuk makan"))
            }),
            K::Other,
            "untuk makan",
        ),
        (
            message!(sticker_pack_message: StickerPackMessage { name: some("Kucing") }),
            K::Other,
            "Kucing",
        ),
        (
            message!(buttons_response_message: ButtonsResponseMessage {
                selected_button_id: some("ya")
            }),
            K::Answer,
            "ya",
        ),
        (message!(event_message: EventMessage { description: some("besok") }), K::Event, "besok"),
        (
            message!(poll_update_message: PollUpdateMessage { sender_timestamp_ms: Some(1) }),
            K::Other,
            "pollUpdateMessage",
        ),
        (message!(list_message: ListMessage { description: some("Pilih") }), K::Other, "Pilih"),
    ];
    for (message, kind, text) in cases {
        assert_eq!(read(&message), Some((kind, text.to_owned())), "{kind:?}");
    }
}

#[test]
fn a_files_details_are_kept_but_not_its_address() {
    macro_rules! file {
        ($field:ident: $type:ident { $($inner:ident: $value:expr),* }) => {
            message!($field: $type {
                mimetype: some("a/b"),
                file_length: Some(7),
                url: some("https://example.com/secret")
                $(, $inner: $value)*
            })
        };
    }
    let known = |filename: Option<&str>| Media {
        mimetype: some("a/b"),
        size: Some(7),
        filename: filename.map(str::to_owned),
        ..Media::default()
    };
    let name = || some("laporan.pdf");
    let long = || Some("n".repeat(FILENAME_CHARS_MAX + 1));
    let short = "n".repeat(FILENAME_CHARS_MAX);
    for (message, filename) in [
        (file!(image_message: ImageMessage {}), None),
        (file!(video_message: VideoMessage {}), None),
        (file!(document_message: DocumentMessage { file_name: name() }), Some("laporan.pdf")),
        (file!(document_message: DocumentMessage { title: name() }), Some("laporan.pdf")),
        (file!(document_message: DocumentMessage { file_name: long() }), Some(&*short)),
        (file!(document_message: DocumentMessage {}), None),
    ] {
        let enveloped =
            wa::Message { view_once_message: wrapped(message.clone()), ..Default::default() };
        for message in [message, enveloped] {
            let is_view_once = message.view_once_message.is_set();
            let known = Media { is_view_once, ..known(filename) };
            assert_eq!(content(&message).unwrap().media(), Some(&known));
        }
    }
    assert_eq!(content(&text("a")).unwrap().media(), None);
}

#[test]
fn what_a_writer_says_of_a_file_is_bounded() {
    let of = |mimetype: &str, caption: String| {
        let mimetype = some(mimetype);
        let caption = Some(caption);
        let document = message!(document_message: DocumentMessage {
            mimetype: mimetype.clone(),
            caption: caption.clone()
        });
        let Some(Content::File(file)) = content(&document) else { panic!("not a file") };
        (file.media.mimetype, file.caption.chars().count())
    };
    let long = || "é".repeat(300_000);
    assert_eq!(of(&"m".repeat(200_000), long()), (None, TEXT_CHARS_MAX));
    assert_eq!(of("text/html\r\nX-A: b", String::new()), (None, 0));
    assert_eq!(of(" audio/ogg; codecs=opus", long()).0, some("audio/ogg; codecs=opus"));
    assert_eq!(content(&text(&long())).unwrap().text().chars().count(), TEXT_CHARS_MAX);
}

#[test]
fn numbers_that_no_client_can_read_are_left_out() {
    let source = info(from_to("628222@s.whatsapp.net", "628222@s.whatsapp.net"));
    let described = |size: u64, number: u32| {
        let video = message!(video_message: VideoMessage {
            file_length: Some(size),
            seconds: Some(number),
            width: Some(number),
            height: Some(1)
        });
        let read = translate(&video, &source, &me(), &NOBODY).unwrap();
        let media = read.content.media().unwrap().clone();
        (media.size, media.seconds, media.dimensions)
    };
    let (size, number) = (1 << 62, i32::MAX.unsigned_abs());
    assert_eq!(described(size, number), (Some(size), Some(number), Some((number, 1))));
    assert_eq!(described(1 << 63, number + 1), (None, None, None));
}

#[test]
fn envelopes_are_opened() {
    let photo = || message!(image_message: ImageMessage { caption: some("c") });
    let file = || message!(document_message: DocumentMessage { caption: some("d") });
    let ephemeral = |inner| wa::Message { ephemeral_message: wrapped(inner), ..Default::default() };
    let view_once =
        |inner| wa::Message { view_once_message_v2: wrapped(inner), ..Default::default() };
    let captioned =
        |inner| wa::Message { document_with_caption_message: wrapped(inner), ..Default::default() };
    let own_copy = |inner| message!(device_sent_message: DeviceSentMessage { message: MessageField::some(inner) });
    for (message, kind, text) in [
        (ephemeral(text("a")), ContentKind::Text, "a"),
        (view_once(photo()), ContentKind::Image, "c"),
        (captioned(file()), ContentKind::Document, "d"),
        (ephemeral(view_once(photo())), ContentKind::Image, "c"),
        (own_copy(ephemeral(captioned(file()))), ContentKind::Document, "d"),
    ] {
        assert_eq!(read(&message), Some((kind, text.to_owned())));
    }
}

#[test]
fn endless_envelopes_are_left_closed() {
    let deep = (0..100).fold(text("a"), |inner, _| wa::Message {
        ephemeral_message: wrapped(inner),
        ..Default::default()
    });
    assert_eq!(read(&deep), Some((ContentKind::Other, "ephemeralMessage".to_owned())));
}

#[test]
fn housekeeping_is_no_message() {
    let keys_only = wa::Message {
        sender_key_distribution_message: MessageField::some(Default::default()),
        message_context_info: MessageField::some(Default::default()),
        ..Default::default()
    };
    let with_text = wa::Message {
        sender_key_distribution_message: MessageField::some(Default::default()),
        ..text("a")
    };
    assert_eq!(read(&wa::Message::default()), None);
    assert_eq!(read(&keys_only), None);
    assert_eq!(read(&with_text), Some((ContentKind::Text, "a".to_owned())));
    assert_eq!(read(&message!(protocol_message: ProtocolMessage {})), None);
    assert_eq!(read(&message!(pin_in_chat_message: PinInChatMessage {})), None);
    let edit = wa::Message {
        edited_message: wrapped(message!(protocol_message: ProtocolMessage {})),
        ..Default::default()
    };
    assert_eq!(read(&edit), None);
}

#[test]
fn a_place_is_on_the_map_or_has_a_name_alone() {
    let at = |latitude, longitude| {
        message!(location_message: LocationMessage {
            degrees_latitude: latitude,
            degrees_longitude: longitude,
            name: some("Monas"),
            address: some("")
        })
    };
    let monas =
        Location { latitude: -6.1754, longitude: 106.8272, name: some("Monas"), address: None };
    let known = Content::Location(monas.clone());
    assert_eq!(content(&at(Some(-6.1754), Some(106.8272))), Some(known));
    let live = message!(live_location_message: LiveLocationMessage {
        degrees_latitude: Some(-6.1754),
        degrees_longitude: Some(106.8272)
    });
    let nameless = Location { name: None, ..monas };
    let shared = content(&live).unwrap();
    assert_eq!(shared.location(), Some(&nameless));
    assert!(shared.structured().and_then(Structured::live_location).is_some());
    let long = message!(location_message: LocationMessage {
        degrees_latitude: Some(1.0),
        degrees_longitude: Some(1.0),
        name: Some("n".repeat(900_000)),
        address: Some("a".repeat(900_000))
    });
    let Some(Content::Location(cut)) = content(&long) else { panic!("not a location") };
    let lengths = [cut.name, cut.address].map(|text| text.unwrap().len());
    assert_eq!(lengths, [FILENAME_CHARS_MAX; 2]);
    for (latitude, longitude) in
        [(None, Some(1.0)), (Some(f64::NAN), Some(1.0)), (Some(91.0), Some(1.0))]
    {
        assert_eq!(content(&at(latitude, longitude)), Some(unnamed("locationMessage", "Monas")));
    }
}

fn unnamed(name: &str, text: &str) -> Content {
    let unnamed = Unnamed { name: name.to_owned(), text: text.to_owned() };
    Content::Structured(Box::new(Structured::Unnamed(unnamed)))
}

#[test]
fn what_says_nothing_has_the_protocols_name() {
    let empty_contact = || m::ContactMessage { display_name: some(""), ..Default::default() };
    for (message, name) in [
        (
            message!(extended_text_message: ExtendedTextMessage { text: some("") }),
            "extendedTextMessage",
        ),
        (message!(extended_text_message: ExtendedTextMessage {}), "extendedTextMessage"),
        (message!(location_message: LocationMessage {}), "locationMessage"),
        (message!(contact_message: ContactMessage {}), "contactMessage"),
        (
            message!(contacts_array_message: ContactsArrayMessage { contacts: vec![empty_contact()] }),
            "contactsArrayMessage",
        ),
        (message!(poll_creation_message: PollCreationMessage {}), "pollCreationMessage"),
        (message!(list_response_message: ListResponseMessage {}), "listResponseMessage"),
        (message!(buttons_response_message: ButtonsResponseMessage {}), "buttonsResponseMessage"),
        (message!(order_message: OrderMessage {}), "orderMessage"),
        (message!(group_invite_message: GroupInviteMessage {}), "groupInviteMessage"),
        (message!(event_message: EventMessage {}), "eventMessage"),
        (message!(album_message: AlbumMessage {}), "albumMessage"),
    ] {
        assert_eq!(content(&message), Some(unnamed(name, "")));
    }
}

#[test]
fn pages_and_a_small_picture_come_with_a_file() {
    let source = || info(from_to("628222@s.whatsapp.net", "628222@s.whatsapp.net"));
    let described = |message: wa::Message| {
        let read = translate(&message, &source(), &me(), &NOBODY).unwrap();
        let media = read.content.media().unwrap().clone();
        (media.pages, media.thumbnail)
    };
    let jpeg = |length: usize| {
        let mut bytes = vec![0xff; length];
        bytes[1] = 0xd8;
        Some(bytes)
    };
    let small = Some("/9j/".into());
    for (message, pages, thumbnail) in [
        (
            message!(document_message: DocumentMessage { page_count: Some(7), jpeg_thumbnail: jpeg(3) }),
            Some(7),
            small.clone(),
        ),
        (message!(image_message: ImageMessage { jpeg_thumbnail: jpeg(3) }), None, small.clone()),
        (message!(video_message: VideoMessage { jpeg_thumbnail: jpeg(3) }), None, small),
        (message!(image_message: ImageMessage { jpeg_thumbnail: jpeg(20_001) }), None, None),
        (message!(image_message: ImageMessage { jpeg_thumbnail: Some(vec![b'<'; 9]) }), None, None),
        (message!(document_message: DocumentMessage { page_count: Some(0) }), None, None),
    ] {
        assert_eq!(described(message), (pages, thumbnail));
    }
}

#[test]
fn what_a_message_refers_to_is_kept() {
    let info_of = |participant: &str| wa::ContextInfo {
        stanza_id: some("3EB0FF"),
        participant: some(participant),
        quoted_message: MessageField::some(text(&"long ".repeat(100))),
        mentioned_jid: vec![
            "628333@s.whatsapp.net".into(),
            "77@lid".into(),
            "@@".into(),
            "ani@s.whatsapp.net".into(),
            format!("{}@lid", "7".repeat(5_000)),
        ],
        is_forwarded: Some(true),
        ..Default::default()
    };
    let source = || info(from_to("628222@s.whatsapp.net", "628222@s.whatsapp.net"));
    for (participant, is_ours) in
        [("628111@s.whatsapp.net", true), ("628222@s.whatsapp.net", false)]
    {
        let answer = m::ExtendedTextMessage {
            text: some("@77, @628333 and @777"),
            context_info: MessageField::some(info_of(participant)),
            ..Default::default()
        };
        let answer =
            wa::Message { extended_text_message: MessageField::some(answer), ..Default::default() };
        let read = translate(&answer, &source(), &me(), &Book(&[("77", "628777")])).unwrap();
        assert_eq!(read.content.text(), "@628777, @628333 and @777");
        let context = read.context;
        let quote = context.reply_to.unwrap();
        assert_eq!((quote.whatsapp_id.as_str(), quote.is_ours), ("3EB0FF", Some(is_ours)));
        assert_eq!(quote.sender.is_none(), is_ours);
        assert_eq!((quote.kind, quote.text.len()), (ContentKind::Text, 200));
        assert_eq!(context.mentions.people, ["628333", "628777"]);
        assert!(context.is_forwarded && !context.mentions.all);
    }
}

#[test]
fn a_reaction_names_its_message() {
    let key = wa::MessageKey { id: some("3EB0FF"), from_me: Some(false), ..Default::default() };
    let reaction = message!(reaction_message: ReactionMessage {
        text: some("👍"), key: MessageField::some(key)
    });
    let source = info(from_to("628222@s.whatsapp.net", "628222@s.whatsapp.net"));
    let read = translate(&reaction, &source, &me(), &NOBODY).unwrap();
    assert_eq!(read.content, Content::Reaction("👍".into()));
    assert_eq!(read.context.reply_to.unwrap().whatsapp_id.as_str(), "3EB0FF");
}

#[test]
fn the_answers_to_buttons_have_their_texts() {
    use waproto::whatsapp::__buffa::oneof::message::buttons_response_message::Response;
    let chosen = Response::SelectedDisplayText("Ya".into());
    let answer = message!(buttons_response_message: ButtonsResponseMessage {
        response: Some(chosen)
    });
    assert_eq!(read(&answer), Some((ContentKind::Answer, "Ya".into())));
}

#[test]
fn a_strangers_lists_are_cut() {
    let option = |n: usize| m::poll_creation_message::Option {
        option_name: Some(format!("{n} ").repeat(10_000)),
        ..Default::default()
    };
    let poll = message!(poll_creation_message: PollCreationMessage {
        name: some("?"), options: (0..10_000).map(option).collect()
    });
    let Some(Content::Poll(read)) = content(&poll) else { panic!("no poll") };
    assert_eq!(read.options.len(), OPTIONS_MAX);
    assert!(read.options.iter().all(|option| option.chars().count() <= FILENAME_CHARS_MAX));
    let card = m::ContactMessage { display_name: some("Ani"), ..Default::default() };
    let many = message!(contacts_array_message: ContactsArrayMessage {
        contacts: vec![card; 10_000]
    });
    let Some(Content::Contacts(read)) = content(&many) else { panic!("no contacts") };
    assert_eq!(read.len(), CONTACTS_MAX);
}
