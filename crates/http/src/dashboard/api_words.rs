//! What the calls of the APIs do, and what their parameters mean, in Indonesian. The reference is in English.

use super::words::Lang;

/// What calls do.
const CALLS: &[(&str, &str)] = &[
    ("Send a message", "Kirim pesan"),
    (
        "Send up to 1,000 messages, all or none",
        "Kirim sampai 1.000 pesan, semua atau tidak sama sekali",
    ),
    ("Messages of both directions, newest first", "Pesan dua arah, yang terbaru dahulu"),
    ("One message with its history of states", "Satu pesan dengan riwayat statusnya"),
    ("Edit a message that was sent", "Sunting pesan yang sudah terkirim"),
    (
        "Send a message again that failed, expired or was cancelled",
        "Kirim ulang pesan yang gagal, kedaluwarsa, atau dibatalkan",
    ),
    ("Delete a message for everyone", "Hapus pesan untuk semua orang"),
    ("Mark a received message as read", "Tandai pesan masuk sudah dibaca"),
    ("Cancel a waiting message", "Batalkan pesan yang menunggu"),
    ("The file of a message that came in", "Berkas dari pesan masuk"),
    ("Chats, those with the newest message first", "Obrolan, dengan pesan terbaru dahulu"),
    ("Mark a chat as read", "Tandai obrolan sudah dibaca"),
    ("Fetch older messages of a chat from the phone", "Ambil pesan lama suatu obrolan dari ponsel"),
    (
        "People that devices know, those who became known last first",
        "Orang yang dikenal perangkat, yang terakhir dikenal dahulu",
    ),
    ("Create a device", "Buat perangkat"),
    ("The account's devices, newest first", "Perangkat akun, yang terbaru dahulu"),
    ("One device", "Satu perangkat"),
    (
        "Change a device's name, pacing, proxy, which files it fetches, or how phones list it",
        "Ubah nama, jeda kirim, proksi, berkas yang diambil, atau tampilan perangkat di ponsel",
    ),
    ("Unpair a device and delete it", "Lepas tautan perangkat dan hapus"),
    (
        "In which minutes of the last day a device's connection was alive",
        "Pada menit mana sehari terakhir koneksi perangkat hidup",
    ),
    (
        "Begin to pair a device, or show the current offer",
        "Mulai menautkan perangkat, atau tampilkan tawaran saat ini",
    ),
    (
        "The current offer of a device that is being paired",
        "Tawaran saat ini untuk perangkat yang sedang ditautkan",
    ),
    ("A QR that pairs the device, as a picture", "QR untuk menautkan perangkat, sebagai gambar"),
    ("A QR that pairs the device, as a data URL", "QR untuk menautkan perangkat, sebagai data URL"),
    ("Answer WhatsApp's challenge with a passkey", "Jawab permintaan WhatsApp dengan passkey"),
    (
        "Confirm that the phone shows the same code, which links the device",
        "Pastikan ponsel menampilkan kode yang sama, lalu perangkat tertaut",
    ),
    (
        "Connect a device again that has stopped, or waits to try again",
        "Hubungkan lagi perangkat yang berhenti, atau yang menunggu mencoba lagi",
    ),
    ("Unpair a device; it can be paired again", "Lepas tautan perangkat; dapat ditautkan lagi"),
    (
        "Replace a device's token; the old one is void at once",
        "Ganti token perangkat; yang lama langsung tidak berlaku",
    ),
    ("Whether a number is on WhatsApp", "Apakah nomor ada di WhatsApp"),
    ("The groups the device's number is in", "Grup yang diikuti nomor perangkat"),
    ("Create a group", "Buat grup"),
    ("A group with its participants", "Grup dengan anggotanya"),
    (
        "Change a group's name, description, picture or who may write",
        "Ubah nama, deskripsi, gambar grup, atau siapa yang boleh menulis",
    ),
    (
        "Add, remove, promote or demote participants",
        "Tambah, keluarkan, jadikan admin, atau berhentikan admin",
    ),
    ("Leave a group", "Keluar dari grup"),
    ("A group's invite link", "Tautan undangan grup"),
    (
        "Make a group's invite link void; the answer has the new one",
        "Batalkan tautan undangan grup; jawabannya berisi yang baru",
    ),
    ("Create a link to the page of one device", "Buat tautan ke halaman satu perangkat"),
    (
        "The valid links of a device, newest first, without their addresses",
        "Tautan perangkat yang berlaku, yang terbaru dahulu, tanpa alamatnya",
    ),
    ("Revoke a link, at once", "Cabut tautan, langsung berlaku"),
    (
        "The account's keys and device tokens, newest first, without their secrets",
        "Kunci akun dan token perangkat, yang terbaru dahulu, tanpa rahasianya",
    ),
    ("Create another key", "Buat kunci lain"),
    ("Revoke a key or token, at once", "Cabut kunci atau token, langsung berlaku"),
    ("Whose key this is", "Milik siapa kunci ini"),
    (
        "What may still be sent, and what is used up",
        "Yang masih boleh dikirim, dan yang sudah terpakai",
    ),
    (
        "Redeem a voucher: its messages are granted to the device",
        "Tukar voucher: pesannya ditambahkan ke perangkat",
    ),
    ("Create a webhook", "Buat webhook"),
    (
        "The account's webhooks, newest first; a device token sees its device's",
        "Webhook akun, yang terbaru dahulu; token perangkat melihat milik perangkatnya",
    ),
    ("One webhook", "Satu webhook"),
    ("Change a webhook, or switch it off and on", "Ubah webhook, atau nonaktifkan dan aktifkan"),
    ("Delete a webhook and its pending events", "Hapus webhook beserta kejadian yang menunggu"),
    (
        "Post a sample event to a webhook once, and show its answer",
        "Kirim contoh kejadian sekali ke webhook, dan tampilkan jawabannya",
    ),
    ("Put another secret in place of a webhook's", "Ganti rahasia webhook"),
    ("The delivery log of a webhook, newest first", "Catatan kiriman webhook, yang terbaru dahulu"),
    (
        "One delivery, with its tries and what the receiver answered",
        "Satu kiriman, dengan percobaan dan jawaban penerimanya",
    ),
    ("Deliver an ended delivery again", "Kirim lagi kiriman yang sudah berakhir"),
    (
        "Deliver again what has ended since a time",
        "Kirim lagi yang sudah berakhir sejak suatu waktu",
    ),
    (
        "Queue a WhatsApp message for delivery through a device",
        "Antrekan pesan WhatsApp lewat perangkat",
    ),
    ("A device's state", "Keadaan perangkat"),
    ("What may still be sent through a device", "Yang masih boleh dikirim lewat perangkat"),
    (
        "The messages sent through a device, newest first",
        "Pesan yang dikirim lewat perangkat, yang terbaru dahulu",
    ),
    ("Get user data using API Key", "Data pengguna dari API key"),
    ("Get Gateway Balance", "Saldo gateway"),
    ("Send Message", "Kirim pesan teks"),
    ("Send Media", "Kirim media"),
    ("Message Info", "Info pesan"),
    ("Send a text", "Kirim teks"),
    ("Send a file", "Kirim berkas"),
    ("Send a text, by query", "Kirim teks, lewat query"),
    ("Send a file, by query", "Kirim berkas, lewat query"),
    (
        "The device, its customer, what that may do and what was sent",
        "Perangkat, pelanggannya, haknya, dan yang sudah dikirim",
    ),
    ("The messages sent, newest first", "Pesan terkirim, yang terbaru dahulu"),
    ("A QR that pairs a device", "QR untuk menautkan perangkat"),
    ("The devices, newest first", "Perangkat, yang terbaru dahulu"),
    ("Whether a device is connected", "Apakah perangkat terhubung"),
    ("Unpair a device", "Lepas tautan perangkat"),
    (
        "The groups a device is in (plan feature `groups`)",
        "Grup yang diikuti perangkat (fitur paket `groups`)",
    ),
    (
        "Queue a message to up to 1,000 people (plan feature `broadcast`)",
        "Antrekan pesan ke sampai 1.000 orang (fitur paket `broadcast`)",
    ),
    ("Send anything to one person", "Kirim apa saja ke satu orang"),
    ("Send a text to one person", "Kirim teks ke satu orang"),
    ("Send an image (plan feature `send_image`)", "Kirim gambar (fitur paket `send_image`)"),
    (
        "Send a document (plan feature `send_document`)",
        "Kirim dokumen (fitur paket `send_document`)",
    ),
    ("Send a text to a group (plan feature `groups`)", "Kirim teks ke grup (fitur paket `groups`)"),
    (
        "Send a file to a group (plan feature `send_group_media`)",
        "Kirim berkas ke grup (fitur paket `send_group_media`)",
    ),
    (
        "Send a message later (plan feature `schedule`)",
        "Kirim pesan nanti (fitur paket `schedule`)",
    ),
    (
        "Scheduled messages, by the time of their delivery (plan feature `schedule`)",
        "Pesan terjadwal, menurut waktu kirimnya (fitur paket `schedule`)",
    ),
    (
        "Cancel a scheduled message (plan feature `schedule`)",
        "Batalkan pesan terjadwal (fitur paket `schedule`)",
    ),
];

/// What parameters of queries mean.
const PARAMETERS: &[(&str, &str)] = &[
    ("1 to 100; 50 unless given", "1 sampai 100; 50 bila tidak diisi"),
    ("1 unless given", "1 bila tidak diisi"),
    ("A device's id or number_id", "ID perangkat atau number_id-nya"),
    (
        "A device's id or number_id; device tokens may leave it out",
        "ID perangkat atau number_id-nya; token perangkat boleh mengosongkannya",
    ),
    (
        "A kind, or several with commas between, such as `image,video`",
        "Satu jenis, atau beberapa dipisah koma, seperti `image,video`",
    ),
    ("A number as people write it, or a group's id", "Nomor seperti biasa ditulis, atau ID grup"),
    ("A state, or several with commas between", "Satu status, atau beberapa dipisah koma"),
    (
        "Messages of a page: 1 to 100, 50 unless given",
        "Pesan per halaman: 1 sampai 100, 50 bila tidak diisi",
    ),
    (
        "Most messages, 1 to 500; 50 unless given",
        "Paling banyak pesan, 1 sampai 500; 50 bila tidak diisi",
    ),
    (
        "Only chats whose name or number contains this",
        "Hanya obrolan yang nama atau nomornya memuat ini",
    ),
    ("Only these: `sent`, `failed` or `pending`", "Hanya ini: `sent`, `failed`, atau `pending`"),
    (
        "Only this chat: a phone number, a LID `…@lid` or a group's id",
        "Hanya obrolan ini: nomor telepon, LID `…@lid`, atau ID grup",
    ),
    (
        "PENDING, SENT, DELIVERED, READ, FAILED, EXPIRED or CANCELLED",
        "PENDING, SENT, DELIVERED, READ, FAILED, EXPIRED, atau CANCELLED",
    ),
    (
        "Rows of a page, 1 to 100; 50 unless given",
        "Baris per halaman, 1 sampai 100; 50 bila tidak diisi",
    ),
    ("The device's id (UUID)", "ID perangkat (UUID)"),
    (
        "The device's id or `number_id`, for an account key of several devices",
        "ID perangkat atau `number_id`-nya, untuk kunci akun dengan beberapa perangkat",
    ),
    (
        "The first day (YYYY-MM-DD), in the account's time zone",
        "Hari pertama (YYYY-MM-DD), di zona waktu akun",
    ),
    ("The last day (YYYY-MM-DD)", "Hari terakhir (YYYY-MM-DD)"),
    ("The next_cursor of the page before", "next_cursor dari halaman sebelumnya"),
    (
        "The page, from 1; page times limit is at most 10,000",
        "Halaman, mulai 1; halaman kali limit paling banyak 10.000",
    ),
    ("`in` or `out`", "`in` atau `out`"),
    ("`pending`, `delivered` or `dead`", "`pending`, `delivered`, atau `dead`"),
    (
        "An account key, or the token of the device. Required",
        "Kunci akun, atau token perangkat. Wajib",
    ),
    ("The phone number of the device. Required", "Nomor telepon perangkat. Wajib"),
    (
        "The receiver; several are separated by `|`. Required",
        "Penerima; beberapa dipisah `|`. Wajib",
    ),
    ("1 for a longer answer", "1 untuk jawaban yang lebih panjang"),
    ("The text. Required", "Teksnya. Wajib"),
    (
        "`image`, `video`, `audio`, `pdf`, `xls`, `xlsx`, `doc`, `docx`, `zip` or `document`. Required",
        "`image`, `video`, `audio`, `pdf`, `xls`, `xlsx`, `doc`, `docx`, `zip`, atau `document`. Wajib",
    ),
    ("A direct link to the file. Required", "Tautan langsung ke berkas. Wajib"),
    ("The text under an image or a video", "Teks di bawah gambar atau video"),
    ("`true` sends audio as a voice note", "`true` mengirim audio sebagai pesan suara"),
    (
        "Only those whose text or caption contains this: 1 to 200 characters. With `q`, `kind`, `status` or `direction` one request looks at 20,000 messages at most: a page may have few messages, or none, and yet a next_cursor, with which the search goes on",
        "Hanya yang teks atau keterangannya memuat ini: 1 sampai 200 karakter. Dengan `q`, `kind`, `status`, atau `direction`, satu permintaan memeriksa paling banyak 20.000 pesan: sebuah halaman dapat berisi sedikit pesan, atau tidak ada, dan tetap memiliki next_cursor untuk melanjutkan pencarian",
    ),
];

/// A text of a call's documentation in the reader's language.
pub(super) fn documented(lang: Lang, text: &'static str) -> &'static str {
    match lang {
        Lang::En => text,
        Lang::Id => {
            let mut known = CALLS.iter().chain(PARAMETERS);
            known.find(|(english, _)| *english == text).map_or(text, |(_, indonesian)| indonesian)
        }
    }
}
