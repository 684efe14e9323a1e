//! The words of the pages, in English and Indonesian: a row each, so that neither can be missing.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;

use super::origin::cookie;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lang {
    /// English.
    En,
    /// Indonesian.
    Id,
}

impl Lang {
    /// The language that the reader has chosen, else the first of the browser's that there is.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie(headers, "gerbang_lang").and_then(Self::from_code);
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let codes = accepted.unwrap_or_default().split(',');
        let codes = codes.filter_map(|item| item.split([';', '-']).next());
        chosen.or_else(|| codes.map(str::trim).find_map(Self::from_code)).unwrap_or(Self::En)
    }

    /// Reads a code; `in` is an old one of Indonesian.
    pub(super) fn from_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::En),
            "id" | "in" => Some(Self::Id),
            _ => None,
        }
    }

    /// Its code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Id => "id",
        }
    }

    /// Its own name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Id => "Bahasa Indonesia",
        }
    }

    /// The one that these words are of.
    pub(super) fn of_words(words: &Words) -> Self {
        Self::from_code(words.code).unwrap_or(Self::En)
    }

    /// Its words.
    pub(super) fn words(self) -> &'static Words {
        Words::of(self)
    }
}

/// Makes a table of texts in both languages. A page has one of its own where others do not share its words.
macro_rules! words {
    ($(#[$doc:meta])* $table:ident $($name:ident: $en:literal, $id:literal;)*) => {
        $(#[$doc])*
        pub(super) struct $table { $(pub(super) $name: &'static str,)* }

        impl $table {
            const EN: Self = Self { $($name: $en,)* };
            const ID: Self = Self { $($name: $id,)* };

            /// The texts of a language.
            pub(super) fn of(lang: $crate::dashboard::words::Lang) -> &'static Self {
                match lang {
                    $crate::dashboard::words::Lang::En => &Self::EN,
                    $crate::dashboard::words::Lang::Id => &Self::ID,
                }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The texts that pages share; `{}` is the place of a value.
    Words
    code: "en", "id";
    skip: "Skip to the content", "Langsung ke isi";
    pages: "Pages", "Halaman";
    start: "Start", "Beranda";
    devices: "Devices", "Perangkat";
    send: "Send", "Kirim";
    messages: "Messages", "Pesan";
    chats: "Chats", "Obrolan";
    docs: "Documentation", "Dokumentasi";
    people: "People", "Pengguna";
    accounts: "Accounts", "Akun";
    groups: "Groups", "Grup";
    plans: "Plans", "Paket";
    vouchers: "Vouchers", "Voucher";
    audit: "Audit log", "Log audit";
    operator: "Operator", "Operator";
    operator_in: "As operator in", "Sebagai operator di";
    leave: "Leave", "Keluar dari akun";
    sign_in: "Sign in", "Masuk";
    sign_out: "Sign out", "Keluar";
    email: "Email", "Email";
    password: "Password", "Kata sandi";
    new_password: "New password", "Kata sandi baru";
    login_wrong: "Email or password is wrong.", "Email atau kata sandi salah.";
    login_help: "No access yet? Ask for an invitation link. The first operator's link is printed by", "Belum punya akses? Minta tautan undangan. Tautan operator pertama ditampilkan oleh";
    too_many_tries: "Too many tries. Wait and try again; minutes left: {}.", "Terlalu banyak percobaan. Tunggu lalu coba lagi; sisa menit: {}.";
    too_many_requests: "Too many requests at once. Try again in a few seconds.", "Terlalu banyak permintaan sekaligus. Coba lagi beberapa detik lagi.";
    second_title: "Second step", "Langkah kedua";
    second_code: "Code of your authenticator app", "Kode dari aplikasi autentikator";
    second_help: "Six digits, or one of your recovery codes.", "Enam angka, atau salah satu kode pemulihan Anda.";
    second_lost: "Without app and recovery codes: an owner of the account or an operator can reset the second step under People.", "Tanpa aplikasi dan kode pemulihan: pemilik akun atau operator dapat mengatur ulang langkah kedua di halaman Pengguna.";
    second_over: "That took too long. Sign in again.", "Terlalu lama. Silakan masuk lagi.";
    code_wrong: "The code is wrong or was used already.", "Kode salah atau sudah pernah dipakai.";
    security: "Security", "Keamanan";
    reset_second: "Reset second step", "Atur ulang langkah kedua";
    reset_second_warning: "{} signs in with the password alone until a new second step is set up.", "{} masuk dengan kata sandi saja sampai langkah kedua yang baru dibuat.";
    sign_in_first: "Sign in first.", "Silakan masuk dahulu.";
    form_refused: "This form was not sent from a current page of yours. Go back, load the page again and repeat it.", "Formulir ini tidak dikirim dari halaman Anda yang masih berlaku. Kembali, muat ulang halaman, lalu ulangi.";
    query_wrong: "A part of this page's address cannot be understood, so nothing was done. Go back and choose again.", "Sebagian alamat halaman ini tidak dapat dipahami, jadi tidak ada yang dilakukan. Kembali dan pilih lagi.";
    needs_https: "Signing in needs HTTPS: over plain HTTP others on the network could read your session. Put a reverse proxy with TLS in front and set GERBANG_PUBLIC_URL to its https:// address. On this machine itself, http://localhost works. To accept the risk in a private network, set GERBANG_INSECURE_COOKIES=true.", "Masuk memerlukan HTTPS: lewat HTTP biasa orang lain di jaringan dapat membaca sesi Anda. Pasang reverse proxy dengan TLS di depan dan isi GERBANG_PUBLIC_URL dengan alamat https://-nya. Di mesin ini sendiri, http://localhost dapat dipakai. Untuk menerima risikonya di jaringan pribadi, isi GERBANG_INSECURE_COOKIES=true.";
    stream_lost: "The gateway cannot be reached. This page looks for it again by itself.", "Gateway tidak dapat dihubungi. Halaman ini mencobanya lagi sendiri.";
    stream_full: "Too many pages of this account are open. This one is brought up to date every half minute; close others to see changes at once.", "Terlalu banyak halaman akun ini yang terbuka. Halaman ini diperbarui setiap setengah menit; tutup yang lain agar perubahan langsung terlihat.";
    stream_restarted: "The gateway was restarted. This page is up to date again.", "Gateway baru dimulai ulang. Halaman ini sudah diperbarui.";
    went_wrong: "That did not work", "Tidak berhasil";
    to_start: "To the start", "Ke beranda";
    not_found: "There is no such thing here.", "Tidak ditemukan di sini.";
    forbidden: "Your role does not allow this.", "Peran Anda tidak mengizinkan ini.";
    feature_missing: "The plan does not include this.", "Paket tidak mencakup ini.";
    device_not_linked: "The device is not linked to a number. Link it first.", "Perangkat belum tertaut ke nomor. Tautkan dahulu.";
    quota_exhausted: "The message quota is used up.", "Kuota pesan habis.";
    device_limit: "The plan allows no more devices.", "Paket tidak mengizinkan perangkat tambahan.";
    queue_full: "Too many messages are waiting. Wait until some have left.", "Terlalu banyak pesan menunggu. Tunggu sampai sebagian terkirim.";
    sent_before: "This form was sent before, and is not acted on again. See what has come of it; to do the same once more, open its page anew.", "Formulir ini sudah pernah dikirim dan tidak dijalankan lagi. Periksa hasilnya; untuk mengulanginya, buka halamannya kembali.";
    disk_full: "The gateway's disk is nearly full.", "Disk gateway hampir penuh.";
    not_waiting: "The message no longer waits: it has left or ended.", "Pesan tidak lagi menunggu: sudah terkirim atau berakhir.";
    whatsapp_refused: "WhatsApp refused or did not answer. Try again.", "WhatsApp menolak atau tidak menjawab. Coba lagi.";
    internal: "Something went wrong here; the log says more.", "Terjadi kesalahan di sini; log menjelaskan lebih lanjut.";
    outcome_unknown: "The node that runs this device did not answer, so it is not known whether this was done. Look before you do it again.", "Node yang menjalankan perangkat ini tidak menjawab, jadi belum diketahui apakah ini sudah dijalankan. Periksa dulu sebelum mengulanginya.";
    too_large: "That is too large.", "Terlalu besar.";
    upload_too_large: "That is too large: at most 16 MB can be uploaded. Larger files, up to 100 MB, go by their address (URL).", "Terlalu besar: yang diunggah paling besar 16 MB. Berkas yang lebih besar, sampai 100 MB, dikirim lewat alamatnya (URL).";
    setup_title: "Create the operator", "Buat operator";
    setup_lead: "The operator runs this gateway and sees every account. Choose how you will sign in.", "Operator menjalankan gateway ini dan melihat semua akun. Tentukan cara Anda masuk.";
    join_title: "You are invited", "Anda diundang";
    join_lead: "Choose how you will sign in.", "Tentukan cara Anda masuk.";
    begin: "Begin", "Mulai";
    password_rule: "At least {} characters.", "Sedikitnya {} karakter.";
    email_wrong: "This is not an email address.", "Ini bukan alamat email.";
    email_taken: "Somebody already signs in with this address.", "Alamat ini sudah dipakai untuk masuk.";
    link_over: "This link is over", "Tautan ini tidak berlaku lagi";
    link_over_help: "It was used, was revoked, or is too old. Ask for a new one.", "Sudah dipakai, dicabut, atau terlalu lama. Minta yang baru.";
    welcome: "Welcome", "Selamat datang";
    go_on: "Open the dashboard", "Buka dasbor";
    keep: "Keep it as it is", "Biarkan saja";
    shown_once: "It is shown only now. Copy it to where it is needed.", "Hanya ditampilkan sekarang. Salin ke tempat yang memerlukannya.";
    i_have_it: "I have copied it", "Sudah saya salin";
    done: "done", "selesai";
    first_steps: "First steps", "Langkah pertama";
    step_device: "Add a device", "Tambah perangkat";
    step_link: "Link it: scan the QR with WhatsApp", "Tautkan: pindai QR dengan WhatsApp";
    step_send: "Send a message to your own number", "Kirim pesan ke nomor Anda sendiri";
    step_read: "Read it on that phone", "Baca di ponsel itu";
    sent_today: "Sent today", "Terkirim hari ini";
    waiting: "Waiting", "Menunggu";
    sent_all: "Sent in all", "Total terkirim";
    failed_all: "Not sent", "Tidak terkirim";
    devices_connected: "Devices connected", "Perangkat terhubung";
    needs_attention: "Needs attention", "Perlu perhatian";
    no_devices: "No device yet. A device is a WhatsApp number that this gateway sends from: add one below, then scan its QR.", "Belum ada perangkat. Perangkat adalah nomor WhatsApp yang dipakai gateway ini untuk mengirim: tambahkan di bawah, lalu pindai QR-nya.";
    add_device: "Add a device", "Tambah perangkat";
    add_and_link: "Add and link", "Tambah dan tautkan";
    device_example: "Front desk", "Kasir depan";
    name: "Name", "Nama";
    name_wrong: "Write a name of 1 to 200 characters.", "Isi nama 1 sampai 200 karakter.";
    no_number: "no number yet", "belum ada nomor";
    older: "Older", "Lebih lama";
    link: "Link", "Tautkan";
    status_unpaired: "not linked", "belum tertaut";
    status_pairing: "being linked", "sedang ditautkan";
    status_connecting: "connecting", "menghubungkan";
    status_connected: "connected", "terhubung";
    status_disconnected: "disconnected", "terputus";
    status_logged_out: "unlinked", "tautan dilepas";
    restricted_until: "WhatsApp lets this number write to no new contacts until", "WhatsApp tidak mengizinkan nomor ini menulis ke kontak baru sampai";
    beats: "Alive in {} of the last day's 1440 minutes", "Hidup dalam {} dari 1440 menit terakhir";
    device_id: "Device id", "ID perangkat";
    device_number: "Number of the device", "Nomor perangkat";
    linked_at: "Linked", "Tertaut sejak";
    connect_now: "Connect now", "Hubungkan sekarang";
    log_out_device: "Unlink", "Lepas tautan";
    new_token: "New token", "Token baru";
    delete: "Delete", "Hapus";
    settings: "Settings", "Pengaturan";
    pacing: "Pacing", "Jeda kirim";
    pacing_default: "As the gateway is set", "Sesuai pengaturan gateway";
    pacing_own: "Of its own, as below", "Pengaturan sendiri, seperti di bawah";
    pause_min: "Shortest pause (s)", "Jeda terpendek (dtk)";
    pause_max: "Longest pause (s)", "Jeda terpanjang (dtk)";
    pause_wrong: "The longest pause must not be below the shortest.", "Jeda terpanjang tidak boleh di bawah jeda terpendek.";
    first_contacts: "New numbers a day", "Nomor baru per hari";
    quiet_from: "Quiet from", "Hening dari";
    quiet_until: "Quiet until", "Hening sampai";
    show_typing: "Take time to type before a text", "Beri waktu mengetik sebelum teks";
    warm_up: "Few new numbers in the first week", "Sedikit nomor baru di minggu pertama";
    save: "Save", "Simpan";
    number_wrong: "Write a number from 0 to {}.", "Isi angka 0 sampai {}.";
    moment_wrong: "Write a date and a time.", "Isi tanggal dan jam.";
    since: "From", "Dari";
    until: "Until", "Sampai";
    time_wrong: "Write a time such as 21:00.", "Isi jam seperti 21:00.";
    link_title: "Link the device", "Tautkan perangkat";
    linked: "The device is linked.", "Perangkat sudah tertaut.";
    send_first: "Send a message", "Kirim pesan";
    wait_for_qr: "Waiting for WhatsApp…", "Menunggu WhatsApp…";
    by_qr: "By QR", "Dengan QR";
    by_qr_help: "On the phone: WhatsApp, Settings, Linked devices, Link a device.", "Di ponsel: WhatsApp, Setelan, Perangkat tertaut, Tautkan perangkat.";
    show_qr: "Show the QR", "Tampilkan QR";
    by_code: "By code", "Dengan kode";
    by_code_help: "When the phone cannot scan: it asks for a code of eight characters.", "Bila ponsel tidak dapat memindai: ponsel meminta kode delapan karakter.";
    show_code: "Show a code", "Tampilkan kode";
    phone: "The phone's number", "Nomor ponsel";
    phone_wrong: "Write a phone number, such as 0812… or +62 812…", "Isi nomor telepon, seperti 0812… atau +62 812…";
    scan_help: "Scan this with WhatsApp: Settings, Linked devices, Link a device.", "Pindai dengan WhatsApp: Setelan, Perangkat tertaut, Tautkan perangkat.";
    qr_alt: "QR to scan with WhatsApp", "QR untuk dipindai dengan WhatsApp";
    qr_refreshes: "The QR changes by itself; leave this page open.", "QR berganti sendiri; biarkan halaman ini terbuka.";
    type_code: "Type this into WhatsApp: Settings, Linked devices, Link with phone number.", "Ketik ini di WhatsApp: Setelan, Perangkat tertaut, Tautkan dengan nomor telepon.";
    passkey_go: "Continue with the passkey", "Lanjutkan dengan passkey";
    token_warning: "The old token is void at once: programs that use it must be given the new one.", "Token lama langsung tidak berlaku: program yang memakainya harus diberi yang baru.";
    logout_warning: "The number is unlinked. Messages that wait ({}) stay until they expire, or go on when the same number is linked again.", "Tautan nomor dilepas. {} pesan yang menunggu tetap ada sampai kedaluwarsa, atau dilanjutkan bila nomor yang sama ditautkan lagi.";
    delete_device_title: "Delete {}?", "Hapus {}?";
    delete_device_warning: "The device is unlinked and erased. Messages that wait ({}) are cancelled and refunded. What was sent stays in the list.", "Tautan perangkat dilepas dan perangkat dihapus. {} pesan yang menunggu dibatalkan dan kuotanya dikembalikan. Yang sudah terkirim tetap ada di daftar.";
    no_accounts: "No account yet. An account is a customer with devices, keys and a plan of its own.", "Belum ada akun. Akun adalah pelanggan dengan perangkat, kunci, dan paketnya sendiri.";
    add_account: "Add an account", "Tambah akun";
    add: "Add", "Tambah";
    plan: "Plan", "Paket";
    enter: "Enter", "Buka";
    first_key: "First key", "Kunci pertama";
    no_people: "This account has no people yet: invite somebody below.", "Belum ada yang masuk ke akun ini: undang seseorang di bawah.";
    role: "Role", "Peran";
    role_owner: "Owner: everything", "Pemilik: semuanya";
    role_member: "Member: reads and sends", "Anggota: membaca dan mengirim";
    role_viewer: "Viewer: reads", "Pengamat: membaca";
    you: "you", "Anda";
    remove: "Remove", "Keluarkan";
    remove_warning: "{} can no longer sign in; open sessions and the invitations they made end at once. Keys and portal links stay as they are: revoke those they know.", "{} tidak dapat masuk lagi; sesi yang terbuka dan undangan yang dibuatnya langsung berakhir. Kunci dan tautan portal tetap berlaku: cabut yang diketahuinya.";
    invite: "Invite", "Undang";
    invite_help: "Makes a link that is valid once, for 7 days. Send it to the person; it is not sent by email.", "Membuat tautan sekali pakai, berlaku 7 hari. Kirimkan sendiri ke orangnya; tidak dikirim lewat email.";
    invite_link: "Invitation link", "Tautan undangan";
    keys: "Keys", "Kunci";
    key: "Key", "Kunci";
    keys_lead: "Programs send and read with a key, over every API here. Give each program its own, with no more than it needs.", "Program mengirim dan membaca dengan kunci, lewat semua API di sini. Beri tiap program kuncinya sendiri, secukupnya saja.";
    no_keys: "No key yet.", "Belum ada kunci.";
    add_key: "Make a key", "Buat kunci";
    ends_in: "Ends in", "Berakhiran";
    scopes: "May", "Boleh";
    scope_read: "read", "membaca";
    scope_send: "send", "mengirim";
    scope_manage: "manage", "mengelola";
    scopes_help: "Most programs need the first two: they send, and see what comes in and what became of it.", "Kebanyakan program cukup dengan dua yang pertama: mengirim, serta melihat pesan masuk dan hasilnya.";
    scope_all: "all of these", "semuanya";
    scope_all_help: "for a program that also adds devices, such as a panel of yours", "untuk program yang juga menambah perangkat, misalnya panel Anda sendiri";
    scope_read_help: "see messages, devices, groups and events", "melihat pesan, perangkat, grup, dan kejadian";
    scope_send_help: "send messages, cancel, edit and delete them; change groups; check numbers", "mengirim pesan, membatalkan, menyunting, menghapusnya; mengubah grup; memeriksa nomor";
    scope_manage_help: "add, link, change and delete devices, webhooks and keys", "menambah, menautkan, mengubah, menghapus perangkat, webhook, dan kunci";
    scopes_missing: "Choose at least one.", "Pilih sedikitnya satu.";
    device_token: "token of the device", "token perangkat";
    last_used: "Last used", "Terakhir dipakai";
    never: "never", "tidak pernah";
    expired: "expired", "kedaluwarsa";
    expires_optional: "Expires (optional)", "Kedaluwarsa (opsional)";
    expiry_wrong: "Choose a time to come.", "Pilih waktu yang akan datang.";
    too_many_keys: "There are 100 keys already. Revoke one that is not used.", "Sudah ada 100 kunci. Cabut yang tidak dipakai.";
    revoke: "Revoke", "Cabut";
    revoke_title: "Revoke {}?", "Cabut {}?";
    revoke_warning: "It is void at once: programs that use it are refused, and what they listen to ends.", "Langsung tidak berlaku: program yang memakainya ditolak, dan yang mereka dengarkan berakhir.";
    scheduled: "Scheduled", "Terjadwal";
    no_scheduled: "Nothing is scheduled. Give a message a time when you send it.", "Tidak ada yang dijadwalkan. Isi waktu saat mengirim pesan.";
    more_scheduled: "These are the newest; all are here:", "Ini yang terbaru; semuanya ada di sini:";
    goes_at: "Goes at", "Dikirim pada";
    cancel_all: "Cancel all that match", "Batalkan semua yang cocok";
    cancel_count: "Waiting messages that are cancelled and refunded: {}.", "{} pesan yang menunggu dibatalkan dan kuotanya dikembalikan.";
    cancel_limit: "At most {} at a time, the newest first; repeat it for the others.", "Paling banyak {} sekaligus, yang terbaru dahulu; ulangi untuk yang lain.";
    resend: "Send again", "Kirim ulang";
    resend_all: "Send all again that match", "Kirim ulang semua yang cocok";
    resend_count: "Messages that go again, as new messages: {}. Those whose file is kept no longer are left out.", "{} pesan yang tidak terkirim dikirim lagi sebagai pesan baru. Yang berkasnya sudah tidak disimpan dilewati.";
    resend_limit: "At most {} at a time: narrow the filter.", "Paling banyak {} sekaligus: persempit saringan.";
    batch_done: "Done with {} messages.", "Selesai untuk {} pesan.";
    batch_skipped: "{} were left out.", "{} dilewati.";
    batch_more: "There are more: repeat it.", "Masih ada lagi: ulangi.";
    usage: "Usage", "Pemakaian";
    days: "Days", "Hari";
    by_day: "By day", "Per hari";
    by_device: "By device", "Per perangkat";
    not_sent: "not sent", "tidak terkirim";
    received: "received", "masuk";
    export_csv: "Export as CSV", "Ekspor CSV";
    step_key: "Make a key for your program", "Buat kunci untuk program Anda";
    step_webhook: "Set a webhook, if your program receives", "Pasang webhook, bila program Anda menerima";
    webhooks: "Webhooks", "Webhook";
    webhooks_lead: "Addresses of your programs that are posted to when something happens: a message comes in, is delivered or read, a device loses its connection.", "Alamat program Anda yang dikirimi saat sesuatu terjadi: pesan masuk, sampai, atau dibaca, perangkat terputus.";
    no_webhooks: "No webhook yet. Add the address of your program below, then send it a test event.", "Belum ada webhook. Tambahkan alamat program Anda di bawah, lalu kirim kejadian uji.";
    add_webhook: "Add a webhook", "Tambah webhook";
    address: "Address (URL)", "Alamat (URL)";
    format: "Format", "Format";
    events: "Events", "Kejadian";
    events_help: "None chosen: all that the plan and the format allow.", "Tidak ada yang dipilih: semua yang diizinkan paket dan format.";
    events_missing: "Choose at least one event.", "Pilih sedikitnya satu kejadian.";
    event_not_in_plan: "The plan does not include the event {}.", "Paket tidak mencakup kejadian {}.";
    url_wrong: "Write an http or https address that the internet can reach, on port 80 or 443.", "Isi alamat http atau https yang dapat dijangkau dari internet, di port 80 atau 443.";
    challenge_failed: "The receiver did not answer its challenge: {}", "Penerima tidak menjawab tantangannya: {}";
    secret: "Secret", "Rahasia";
    secret_help: "8 to 256 characters that sign what is posted; left empty, one is made.", "8 sampai 256 karakter untuk menandatangani kiriman; bila kosong, dibuatkan.";
    all_devices: "All devices", "Semua perangkat";
    switched_on: "on", "aktif";
    switched_off: "off", "nonaktif";
    switch_on: "Switch on", "Aktifkan";
    switch_off: "Switch off", "Nonaktifkan";
    made_at: "Made", "Dibuat";
    test_post: "Send a test event", "Kirim kejadian uji";
    test_answer: "The receiver answered {} after {} ms.", "Penerima menjawab {} setelah {} md.";
    test_no_answer: "No answer: {}", "Tidak ada jawaban: {}";
    new_secret: "New secret", "Rahasia baru";
    new_secret_warning: "For 24 hours messages are signed with the old secret and the new one. Put the new one into the receiver within that time.", "Selama 24 jam kiriman ditandatangani dengan rahasia lama dan baru. Pasang yang baru di penerima dalam waktu itu.";
    delete_webhook_warning: "Nothing more is posted there. Deliveries that wait ({}) are erased, and its log with them.", "Tidak ada lagi yang dikirim ke sana. {} kiriman yang menunggu dihapus, beserta catatannya.";
    deliveries: "Deliveries", "Kiriman";
    no_deliveries: "Nothing was posted yet.", "Belum ada yang dikirim.";
    delivery_pending: "waiting", "menunggu";
    delivery_delivered: "delivered", "diterima";
    delivery_dead: "failed", "gagal";
    event: "Event", "Kejadian";
    last_answer: "Last answer", "Jawaban terakhir";
    next_attempt: "Next attempt", "Percobaan berikutnya";
    ended_at: "Ended", "Berakhir";
    what_is_posted: "What is posted", "Yang dikirim";
    nothing_is_posted: "Nothing: the format has no shape for this event, or the secret cannot be read.", "Tidak ada: format tidak mengenal kejadian ini, atau rahasianya tidak terbaca.";
    send_again: "Send again", "Kirim ulang";
    replay_since: "Send again since", "Kirim ulang sejak";
    replay_failed: "what failed", "yang gagal";
    replay_all: "what failed and what was delivered", "yang gagal dan yang sudah diterima";
    replay_count: "Deliveries that go out again: {}, of events since", "{} kiriman dikirim ulang, dari kejadian sejak";
    replay_oldest_first: "These are the oldest; repeat it for those that follow.", "Ini yang paling lama; ulangi untuk yang berikutnya.";
    replayed: "Deliveries on their way again: {}.", "{} kiriman sedang dikirim ulang.";
    no_messages: "Nothing here yet.", "Belum ada apa-apa di sini.";
    all: "all", "semua";
    device: "Device", "Perangkat";
    direction: "Direction", "Arah";
    incoming: "received", "masuk";
    outgoing: "sent", "keluar";
    status: "Status", "Status";
    number_or_group: "Number or group", "Nomor atau grup";
    kind: "Kind", "Jenis";
    contains: "Text contains", "Teks memuat";
    filter: "Show", "Tampilkan";
    time: "Time", "Waktu";
    what: "What", "Isi";
    message: "Message", "Pesan";
    timeline: "What became of it", "Riwayat";
    why_waits: "It waits:", "Menunggu:";
    not_before: "not before", "tidak sebelum";
    attempts: "Attempts", "Percobaan";
    expires: "Expires", "Kedaluwarsa";
    cancel: "Cancel it", "Batalkan";
    cancel_one: "1 message is not sent: it is cancelled and refunded.", "1 pesan tidak jadi dikirim: dibatalkan dan kuotanya dikembalikan.";
    state_scheduled: "scheduled", "terjadwal";
    state_queued: "queued", "antre";
    state_sending: "being sent", "sedang dikirim";
    state_sent: "sent", "terkirim";
    state_delivered: "delivered", "sampai";
    state_read: "read", "dibaca";
    state_played: "played", "diputar";
    state_failed: "failed", "gagal";
    state_expired: "expired", "kedaluwarsa";
    state_cancelled: "cancelled", "dibatalkan";
    waits_scheduled: "for its time", "waktu yang dijadwalkan";
    waits_pacing: "for the pause between two messages", "jeda antara dua pesan";
    waits_quiet: "for the end of the quiet hours", "akhir jam hening";
    waits_first: "the day's new numbers are used up", "jatah nomor baru hari ini habis";
    waits_lock: "WhatsApp lets the number write to no new contacts", "WhatsApp tidak mengizinkan menulis ke kontak baru";
    waits_connection: "for the device's connection", "koneksi perangkat";
    waits_order: "for an earlier message in its chat", "pesan sebelumnya di percakapan ini";
    waits_retry: "for its next attempt", "percobaan berikutnya";
    waits_file: "for its file", "berkasnya";
    no_linked_device: "No device is linked yet. Link one, then send from it.", "Belum ada perangkat yang tertaut. Tautkan satu, lalu kirim darinya.";
    to: "To", "Kepada";
    to_help: "Numbers or group ids, one a line; or a pasted list (CSV) whose first line names its columns.", "Nomor atau ID grup, satu per baris; atau daftar (CSV) yang baris pertamanya berisi nama kolom.";
    text_help: "With a list, {name} stands for the column “name”.", "Dengan daftar, {nama} diganti isi kolom “nama”.";
    whole_text: "Show the whole text", "Tampilkan seluruh teks";
    times_in: "Times are in the time zone {}.", "Waktu menurut zona waktu {}.";
    schedule_at: "Not before (optional)", "Tidak sebelum (opsional)";
    schedule_wrong: "Choose a time in the next 366 days.", "Pilih waktu dalam 366 hari ke depan.";
    as_code: "Copy as…", "Salin sebagai…";
    as_code_help: "The same request for our own API and for each of the other gateways' formats that has it. Put your key in its place.", "Permintaan yang sama untuk API kami dan tiap format gateway lain yang memilikinya. Masukkan kunci Anda.";
    show_as_code: "Show as code", "Tampilkan kode";
    text_missing: "Write a text.", "Isi teks.";
    to_missing: "Write to whom it goes.", "Isi penerimanya.";
    nothing_sent: "Nothing was sent. Correct these lines:", "Belum ada yang dikirim. Perbaiki baris ini:";
    line: "Line", "Baris";
    line_shortened: "the spreadsheet has shortened this number; format its column as text, write the numbers again and export it", "nomor ini dipersingkat oleh spreadsheet; ubah format kolom menjadi teks, tulis ulang nomornya, lalu ekspor lagi";
    line_no_number: "is no phone number and no group", "bukan nomor telepon dan bukan grup";
    line_empty: "has no number", "tidak ada nomornya";
    line_too_many: "is beyond the 1,000 of one sending", "melebihi 1.000 dalam sekali kirim";
    unknown_variable: "No column is called {}.", "Tidak ada kolom bernama {}.";
    preview: "Look at what will go", "Periksa dahulu";
    preview_one: "One message will go", "Satu pesan akan dikirim";
    preview_title: "{} messages will go", "{} pesan akan dikirim";
    send_all: "Send them all", "Kirim semua";
    change: "Change", "Ubah";
    sent_list: "{} messages are on their way.", "{} pesan sedang dikirim.";
    simulated_phone: "The simulated phone", "Ponsel simulasi";
    kind_text: "text", "teks";
    kind_image: "picture", "gambar";
    kind_video: "video", "video";
    kind_audio: "audio", "audio";
    kind_voice: "voice note", "pesan suara";
    kind_document: "document", "dokumen";
    kind_sticker: "sticker", "stiker";
    kind_location: "location", "lokasi";
    kind_contact: "contact", "kontak";
    kind_poll: "poll", "polling";
    kind_reaction: "reaction", "reaksi";
    kind_vote: "vote", "suara";
    kind_answer: "choice", "pilihan";
    kind_order: "order", "pesanan";
    kind_invite: "invitation", "undangan";
    kind_event: "event", "acara";
    kind_album: "album", "album";
    kind_edit: "edit", "suntingan";
    kind_revoke: "deletion", "penghapusan";
    edited: "edited", "disunting";
    revoked: "deleted for everyone", "dihapus untuk semua orang";
    kind_unreadable: "unreadable", "tidak terbaca";
    kind_other: "other", "lainnya";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_chosen_one_else_the_browsers() {
        for (cookies, accepted, lang) in [
            ("", "id-ID,id;q=0.9,en;q=0.8", Lang::Id),
            ("", "en-US,en;q=0.9,id;q=0.8", Lang::En),
            ("", "fr, in;q=0.5", Lang::Id),
            ("", "", Lang::En),
            ("a=b; gerbang_lang=id", "en", Lang::Id),
            ("gerbang_lang=xx", "id", Lang::Id),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("cookie", cookies.parse().unwrap());
            headers.insert("accept-language", accepted.parse().unwrap());
            assert_eq!(Lang::of(&headers), lang, "{cookies} {accepted}");
        }
    }
}
