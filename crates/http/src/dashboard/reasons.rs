//! What the core says in English, in the reader's language: what is wrong with a field, and the reasons that are
//! stored with devices, messages and deliveries. They are stored as they were said, so they are known by their
//! text; one that is not known is shown as it is.

use std::borrow::Cow;

use super::words::Lang;

/// English texts that name parts of the API, as people read them. `{}` is the place of a value.
const IN_ENGLISH: [(&str, &str); 15] = [
    ("the number is banned; `reason` says until when", "the number is banned for a while"),
    (
        "min_s must not be above max_s, and max_s not above {}",
        "the longest pause must not be below the shortest, nor above {} seconds",
    ),
    ("the device fetches no files (media_download)", "the device is set to fetch no files"),
    ("must be after schedule_at", "must be after the time it is sent"),
    ("must be null or 0 to 2147483646", "must be 0 to 2147483646, or empty"),
    ("must have at most {} characters, none of them U+0000", "must have at most {} characters"),
    ("must not contain the character U+0000", "holds a character that cannot be sent"),
    (
        "must have {} to {} characters, none of control",
        "must have {} to {} characters, in one line",
    ),
    (
        "must have {} to {} characters and no control ones",
        "must have {} to {} characters, in one line",
    ),
    ("must have {} to {} bytes and no control characters", "must have {} to {} characters"),
    ("needs the kind image, video or voice", "is for pictures, videos and voice notes"),
    ("needs the kind video, and a video", "is for videos"),
    ("must be a message's id, ours or WhatsApp's", "is no message of this device"),
    ("can be `all` in a group only", "everybody can be mentioned in a group only"),
    ("must be phone numbers, LIDs or `all`", "must be phone numbers"),
];

/// The same, and all others, in Indonesian. The first that fits counts.
const IN_INDONESIAN: &[(&str, &str)] = &[
    // Fields.
    ("is required", "wajib diisi"),
    ("is required and must not be blank", "wajib diisi dan tidak boleh kosong"),
    ("must not be empty", "tidak boleh kosong"),
    ("must be in the future", "harus di masa depan"),
    ("must be within 366 days", "harus dalam 366 hari ke depan"),
    ("must be after schedule_at", "harus setelah waktu kirimnya"),
    ("must be different from each other", "harus berbeda satu sama lain"),
    ("must be a phone number", "harus berupa nomor telepon"),
    (
        "must be a phone number with its country code, 8 to 15 digits, such as 628123456789",
        "harus berupa nomor telepon dengan kode negara, 8 sampai 15 angka, seperti 628123456789",
    ),
    ("must be an email address", "harus berupa alamat email"),
    ("must be an absolute http or https URL", "harus berupa alamat http atau https yang lengkap"),
    ("must not hold a user name or a password", "tidak boleh berisi nama pengguna atau kata sandi"),
    (
        "must be a public address on port 80 or 443",
        "harus berupa alamat publik di port 80 atau 443",
    ),
    ("must be at a public address", "harus berada di alamat publik"),
    (
        "must be a country's calling code, 1 to 3 digits, such as 62",
        "harus berupa kode negara, 1 sampai 3 angka, seperti 62",
    ),
    (
        "must be an IANA time zone, such as Asia/Jakarta",
        "harus berupa zona waktu, seperti Asia/Jakarta",
    ),
    (
        "must be a MIME type, such as application/pdf",
        "harus berupa jenis MIME, seperti application/pdf",
    ),
    (
        "must be socks5://HOST:PORT or http://HOST:PORT, with USER:PASSWORD@ before the host where the proxy wants it",
        "harus berupa socks5://HOST:PORT atau http://HOST:PORT, dengan USER:PASSWORD@ sebelum host bila proksi memintanya",
    ),
    ("must name the port of the proxy", "harus menyebut port proksi"),
    (
        "must have a user name and a password of at most 255 bytes each",
        "nama pengguna dan kata sandi masing-masing paling banyak 255 bita",
    ),
    (
        "must have a user name without a colon before the @",
        "sebelum @ harus ada nama pengguna tanpa titik dua",
    ),
    (
        "must be image, video, audio, voice, document or sticker",
        "harus berupa gambar, video, audio, pesan suara, dokumen, atau stiker",
    ),
    ("needs the kind image, video or voice", "hanya untuk gambar, video, dan pesan suara"),
    ("needs the kind video, and a video", "hanya untuk video"),
    ("stickers have none", "stiker tidak memilikinya"),
    (
        "must be one emoji, or empty to remove the reaction",
        "harus satu emoji, atau kosong untuk menghapus reaksi",
    ),
    (
        "must be at most the number of options; 0 means all of them",
        "tidak boleh melebihi jumlah jawaban; 0 berarti semuanya",
    ),
    ("must hold {} to {} answers", "harus berisi {} sampai {} jawaban"),
    ("must hold 1 to {} contacts", "harus berisi 1 sampai {} kontak"),
    ("must hold 1 to {} messages", "harus berisi 1 sampai {} pesan"),
    ("must name 1 to {} people", "harus menyebut 1 sampai {} orang"),
    ("must name at least one event", "harus menyebut sedikitnya satu kejadian"),
    (
        "must name at least one of read, send, manage",
        "pilih sedikitnya satu: membaca, mengirim, mengelola",
    ),
    (
        "must name one or more of pair, read and send",
        "pilih sedikitnya satu: menautkan, membaca, mengirim",
    ),
    (
        "must not be after the end of the key that makes it",
        "tidak boleh setelah berakhirnya kunci yang membuatnya",
    ),
    ("a group cannot join a group", "grup tidak dapat menjadi anggota grup"),
    ("must be a message of the chat it goes to", "harus berupa pesan di obrolan tujuannya"),
    ("must be a message's id, ours or WhatsApp's", "bukan pesan dari perangkat ini"),
    ("is no message of this device", "bukan pesan dari perangkat ini"),
    ("must be a message that has been sent", "harus berupa pesan yang sudah terkirim"),
    ("go with a text or a caption only", "hanya bersama teks atau keterangan"),
    ("can be `all` in a group only", "menyebut semua orang hanya dapat di grup"),
    ("must be phone numbers, LIDs or `all`", "harus berupa nomor telepon"),
    ("must have at most {} entries", "paling banyak {} isian"),
    ("must not contain the character U+0000", "berisi karakter yang tidak dapat dikirim"),
    ("must have at most {} characters, none of them U+0000", "paling banyak {} karakter"),
    ("must have at most {} characters", "paling banyak {} karakter"),
    (
        "must have at most {} bytes; send a URL instead",
        "paling banyak {} bita; kirim alamatnya (URL) saja",
    ),
    ("must have at most {} bytes", "paling banyak {} bita"),
    (
        "must have {} to {} characters, none of control",
        "harus {} sampai {} karakter, dalam satu baris",
    ),
    (
        "must have {} to {} characters and no control ones",
        "harus {} sampai {} karakter, dalam satu baris",
    ),
    (
        "must have {} to {} characters, no slashes and no control characters",
        "harus {} sampai {} karakter, tanpa garis miring",
    ),
    ("must have {} to {} bytes and no control characters", "harus {} sampai {} karakter"),
    ("must have 1 to 40 of a-z, 0-9, - and _", "harus 1 sampai 40 dari a-z, 0-9, - dan _"),
    ("must have {} to {} characters", "harus {} sampai {} karakter"),
    ("must be null or 0 to 2147483646", "harus 0 sampai 2147483646, atau kosong"),
    ("must be one of {}", "harus salah satu dari {}"),
    ("must be at least {}", "sedikitnya {}"),
    ("must be at most {}", "paling banyak {}"),
    ("must be {} to {} seconds", "harus {} sampai {} detik"),
    ("must be {} to {}", "harus {} sampai {}"),
    ("page times limit must be at most {}", "paling banyak {}"),
    (
        "min_s must not be above max_s, and max_s not above {}",
        "jeda terpanjang tidak boleh di bawah jeda terpendek, atau di atas {} detik",
    ),
    (
        "the format {} cannot render {}; it can render {}",
        "format {} tidak mengenal {}; yang dikenalnya: {}",
    ),
    ("is not a code of the app's now", "bukan kode aplikasi saat ini"),
    ("its clientDataJSON is not JSON", "jawaban passkey tidak terbaca"),
    ("is not the answer of a passkey: its type must be webauthn.get", "bukan jawaban passkey"),
    (
        "answers another challenge than the one that runs",
        "menjawab permintaan lain dari yang berjalan",
    ),
    ("was made for another site than WhatsApp's", "dibuat untuk situs lain dari WhatsApp"),
    ("the form is not UTF-8", "formulir tidak terbaca"),
    ("the form has more than {} fields", "formulir berisi lebih dari {} isian"),
    // What is not possible, or no longer.
    ("the node is live: stop it first", "node masih hidup: hentikan dahulu"),
    ("there is a second step already", "langkah kedua sudah ada"),
    (
        "your own second step is switched off with a code",
        "langkah kedua Anda sendiri dimatikan dengan kode",
    ),
    ("you cannot remove yourself", "Anda tidak dapat mengeluarkan diri sendiri"),
    ("you cannot change your own role", "Anda tidak dapat mengubah peran sendiri"),
    (
        "your own password is changed with the current one",
        "kata sandi Anda sendiri diganti dengan kata sandi yang sekarang",
    ),
    ("the account has 100 webhooks already", "akun sudah memiliki 100 webhook"),
    (
        "the webhook's secret cannot be read; create the webhook again",
        "rahasia webhook tidak terbaca; buat webhook ini lagi",
    ),
    (
        "the secret that the webhooks of this format share cannot be read; erase them, or choose another",
        "rahasia bersama webhook berformat ini tidak terbaca; hapus semuanya, atau pilih yang lain",
    ),
    (
        "the device is already paired; unpair it first",
        "perangkat sudah tertaut; lepas tautannya dahulu",
    ),
    ("the device is not paired", "perangkat belum tertaut"),
    ("the device is not being paired", "perangkat tidak sedang ditautkan"),
    ("the device is already linked", "perangkat sudah tertaut"),
    ("the device has just been paired", "perangkat baru saja tertaut"),
    ("the device is being stopped", "perangkat sedang dihentikan"),
    ("another way of linking was asked for", "cara menautkan yang lain sudah diminta"),
    ("pairing has ended", "penautan berakhir"),
    ("pairing has ended meanwhile", "penautan sudah berakhir"),
    (
        "the account has 100 keys already; revoke one that is not used",
        "akun sudah memiliki 100 kunci; cabut yang tidak dipakai",
    ),
    (
        "the device has 100 portal links already; revoke one",
        "perangkat sudah memiliki 100 tautan portal; cabut salah satu",
    ),
    ("another account has this email address", "akun lain memakai alamat email ini"),
    (
        "somebody else signs in with this email address",
        "alamat email ini sudah dipakai orang lain untuk masuk",
    ),
    ("there are as many people as there may be", "jumlah pengguna sudah mencapai batas"),
    (
        "as many invitations are open as there may be; withdraw some of them",
        "jumlah undangan terbuka sudah mencapai batas; tarik sebagian",
    ),
    (
        "only a message that failed, expired or was cancelled can be sent again",
        "hanya pesan yang gagal, kedaluwarsa, atau dibatalkan yang dapat dikirim ulang",
    ),
    (
        "the file came with the request and is kept no longer; send it anew",
        "berkas yang dilampirkan sudah tidak disimpan; kirim yang baru",
    ),
    ("it is itself a change of another message", "ini sendiri perubahan atas pesan lain"),
    (
        "more than 1,000 messages match; narrow the filter",
        "lebih dari 1.000 pesan cocok; persempit saringan",
    ),
    (
        "no message of this chat is known: the phone gives what came before one",
        "belum ada pesan di obrolan ini: ponsel memberi yang sebelum suatu pesan",
    ),
    ("this number may not do that in the group", "nomor ini tidak berhak melakukannya di grup"),
    ("the number is banned; `reason` says until when", "nomor ini diblokir untuk sementara"),
    ("the engine was started before", "gateway sudah dimulai"),
    ("the gateway is still starting", "gateway masih memulai"),
    ("the gateway is stopping", "gateway sedang berhenti"),
    ("another person sent it", "dikirim oleh orang lain"),
    ("it has not been sent", "belum terkirim"),
    ("it has been deleted for everyone", "sudah dihapus untuk semua orang"),
    (
        "it has no text and no caption that phones show",
        "tidak memiliki teks atau keterangan yang ditampilkan ponsel",
    ),
    ("it was sent more than 15 minutes ago", "sudah dikirim lebih dari 15 menit yang lalu"),
    ("it was sent more than 60 hours ago", "sudah dikirim lebih dari 60 jam yang lalu"),
    (
        "it is being sent at this moment; try again in a few seconds",
        "sedang dikirim saat ini; coba lagi beberapa detik lagi",
    ),
    ("WhatsApp has not asked for a passkey", "WhatsApp tidak meminta passkey"),
    ("the passkey was given already", "passkey sudah diberikan"),
    ("there is no code to confirm yet", "belum ada kode untuk dicocokkan"),
    (
        "the 10 minutes for the passkey are over; pair the device again",
        "waktu 10 menit untuk passkey habis; tautkan perangkat lagi",
    ),
    ("WhatsApp did not accept this passkey", "WhatsApp tidak menerima passkey ini"),
    // Devices.
    ("logged out by request", "tautan dilepas atas permintaan"),
    ("connecting by request", "menghubungkan atas permintaan"),
    ("connecting with changed settings", "menghubungkan dengan pengaturan baru"),
    ("the gateway was restarted while linking", "gateway dimulai ulang saat menautkan"),
    ("the gateway was restarted", "gateway dimulai ulang"),
    ("another node of the gateway takes over", "node lain dari gateway mengambil alih"),
    ("the device was removed", "perangkat dihapus"),
    ("the device was logged out", "tautan perangkat dilepas"),
    ("WhatsApp made no offer in time", "WhatsApp tidak memberi QR atau kode pada waktunya"),
    ("the gateway's database cannot be reached", "basis data gateway tidak dapat dijangkau"),
    ("the device was not paired in time", "perangkat tidak ditautkan pada waktunya"),
    (
        "the passkey was not given and confirmed in 10 minutes",
        "passkey tidak diberikan dan dikonfirmasi dalam 10 menit",
    ),
    (
        "the phone's WhatsApp is too old to link devices; update it",
        "WhatsApp di ponsel terlalu lama untuk menautkan perangkat; perbarui",
    ),
    ("the phone's answer could not be verified", "jawaban ponsel tidak dapat diverifikasi"),
    ("the passkey was not accepted", "passkey tidak diterima"),
    (
        "WhatsApp did not accept the confirmation; pair the device again",
        "WhatsApp tidak menerima konfirmasi; tautkan perangkat lagi",
    ),
    (
        "WhatsApp does not offer codes for this number; link it by QR",
        "WhatsApp tidak memberi kode untuk nomor ini; tautkan dengan QR",
    ),
    (
        "WhatsApp refused to make a code: the number is wrong, or too many codes were asked for",
        "WhatsApp menolak membuat kode: nomornya salah, atau terlalu banyak kode diminta",
    ),
    ("WhatsApp refused to make a code", "WhatsApp menolak membuat kode"),
    ("no pairing code could be made", "kode tidak dapat dibuat"),
    (
        "no number is linked to this device; link it again",
        "tidak ada nomor yang tertaut ke perangkat ini; tautkan lagi",
    ),
    ("the device was unlinked on the phone", "tautan perangkat dilepas di ponsel"),
    ("WhatsApp has unlinked this device ({})", "WhatsApp melepas tautan perangkat ini ({})"),
    (
        "restored from the backup of {}; its keys have changed since and cannot be used again: link it again",
        "dipulihkan dari cadangan {}; kuncinya sudah berubah sejak itu dan tidak dapat dipakai: tautkan lagi",
    ),
    ("connection lost", "koneksi terputus"),
    ("WhatsApp cannot be reached", "WhatsApp tidak dapat dijangkau"),
    (
        "the server's certificate chain is not WhatsApp's; is the address right?",
        "rantai sertifikat server bukan milik WhatsApp; apakah alamatnya benar?",
    ),
    ("WhatsApp asked for a new connection (515)", "WhatsApp meminta koneksi baru (515)"),
    (
        "another process took over this session (409); pair or reconnect it in one place only",
        "proses lain mengambil alih sesi ini (409); tautkan atau hubungkan di satu tempat saja",
    ),
    ("WhatsApp limits connections (429)", "WhatsApp membatasi koneksi (429)"),
    (
        "WhatsApp has banned this number for a while (402), until {}",
        "WhatsApp memblokir nomor ini untuk sementara (402), sampai {}",
    ),
    (
        "WhatsApp has banned this number for a while (402)",
        "WhatsApp memblokir nomor ini untuk sementara (402)",
    ),
    ("WhatsApp has locked this account (403)", "WhatsApp mengunci akun ini (403)"),
    (
        "WhatsApp no longer accepts this version (405); a newer one is looked for",
        "WhatsApp tidak lagi menerima versi ini (405); versi lebih baru sedang dicari",
    ),
    (
        "WhatsApp does not take this kind of client (409)",
        "WhatsApp tidak menerima jenis klien ini (409)",
    ),
    ("WhatsApp refuses the login ({})", "WhatsApp menolak login ({})"),
    ("WhatsApp has a fault ({})", "WhatsApp sedang bermasalah ({})"),
    ("WhatsApp closed the connection ({})", "WhatsApp menutup koneksi ({})"),
    ("its proxy cannot be reached", "proksinya tidak dapat dijangkau"),
    (
        "its proxy refuses the connection; are user name and password right?",
        "proksinya menolak koneksi; apakah nama pengguna dan kata sandinya benar?",
    ),
    ("its proxy has an address that may not be reached", "alamat proksinya tidak boleh dijangkau"),
    ("its proxy cannot be read any more; set it again", "proksinya tidak terbaca lagi; atur ulang"),
    (
        "WhatsApp lets this number write to no new contacts until then",
        "sampai saat itu WhatsApp tidak mengizinkan nomor ini menulis ke kontak baru",
    ),
    // Messages.
    ("WhatsApp found the message faulty (400)", "WhatsApp menganggap pesan ini salah (400)"),
    ("WhatsApp knows no such recipient (404)", "WhatsApp tidak mengenal penerima ini (404)"),
    (
        "WhatsApp limits how fast this number sends (429)",
        "WhatsApp membatasi kecepatan kirim nomor ini (429)",
    ),
    (
        "WhatsApp does not let this number write to strangers now (463)",
        "WhatsApp saat ini tidak mengizinkan nomor ini menulis ke orang baru (463)",
    ),
    (
        "WhatsApp could not take the message for this recipient (479)",
        "WhatsApp tidak dapat menerima pesan untuk penerima ini (479)",
    ),
    ("WhatsApp refused the message ({})", "WhatsApp menolak pesan ini ({})"),
    (
        "WhatsApp did not acknowledge the message in time",
        "WhatsApp tidak mengonfirmasi pesan pada waktunya",
    ),
    (
        "WhatsApp cannot send this kind of message to this recipient",
        "WhatsApp tidak dapat mengirim jenis pesan ini ke penerima ini",
    ),
    ("the message could not be encrypted", "pesan tidak dapat dienkripsi"),
    ("somebody else has just changed the description", "orang lain baru saja mengubah deskripsi"),
    ("WhatsApp's answer made no sense", "jawaban WhatsApp tidak dapat dipahami"),
    ("WhatsApp refused the file ({})", "WhatsApp menolak berkas ({})"),
    ("WhatsApp's file server failed ({})", "server berkas WhatsApp gagal ({})"),
    ("WhatsApp's file server took too long", "server berkas WhatsApp terlalu lama"),
    ("the file could not be uploaded in time", "berkas tidak dapat diunggah pada waktunya"),
    ("the file could not be uploaded", "berkas tidak dapat diunggah"),
    ("the file could not be encrypted", "berkas tidak dapat dienkripsi"),
    (
        "no device of the recipient could open the message: WhatsApp gave no keys for them",
        "tidak ada perangkat penerima yang dapat membuka pesan: WhatsApp tidak memberi kuncinya",
    ),
    ("the number is not on WhatsApp", "nomor ini tidak ada di WhatsApp"),
    ("the recipient is neither a person nor a group", "penerima bukan orang dan bukan grup"),
    ("this kind of message cannot be sent", "jenis pesan ini tidak dapat dikirim"),
    ("the message could not be sent", "pesan tidak dapat dikirim"),
    (
        "the group does not exist, or this number is not in it",
        "grup tidak ada, atau nomor ini bukan anggotanya",
    ),
    ("WhatsApp refused a question ({})", "WhatsApp menolak pertanyaan ({})"),
    ("WhatsApp did not answer in time", "WhatsApp tidak menjawab pada waktunya"),
    ("WhatsApp did not take it in time", "WhatsApp tidak menerimanya pada waktunya"),
    ("the protocol library failed", "pustaka protokol gagal"),
    ("the number could not be stored", "nomor tidak dapat disimpan"),
    (
        "the device did not connect while the message was waited for",
        "perangkat tidak terhubung selama pesan ditunggu",
    ),
    ("the message is {}", "pesan {}"),
    ("cancelled", "dibatalkan"),
    ("expired", "kedaluwarsa"),
    ("failed", "gagal"),
    ("the device is not connected", "perangkat tidak terhubung"),
    ("its file is not ready", "berkasnya belum siap"),
    ("making the file ready took too long", "menyiapkan berkas terlalu lama"),
    // Members of groups.
    ("is not in the group", "tidak ada di grup"),
    ("WhatsApp did not say whether it is done", "WhatsApp tidak mengatakan apakah sudah dilakukan"),
    ("has blocked this number", "memblokir nomor ini"),
    (
        "can only be invited: only contacts may add this person",
        "hanya dapat diundang: hanya kontaknya yang boleh menambahkannya",
    ),
    ("is not on WhatsApp, or not in the group", "tidak ada di WhatsApp, atau tidak ada di grup"),
    ("has left the group recently", "baru saja keluar dari grup"),
    ("is in the group already", "sudah ada di grup"),
    ("the group is full", "grup sudah penuh"),
    ("was refused by WhatsApp", "ditolak oleh WhatsApp"),
    ("the text is too long for WhatsApp", "teks terlalu panjang untuk WhatsApp"),
    ("the picture is not made yet", "gambar belum siap"),
    // Files.
    ("the file could not be downloaded", "berkas tidak dapat diunduh"),
    (
        "the link answers with a web page, not a file; a direct link is needed",
        "tautan menuju halaman web, bukan berkas; perlu tautan langsung",
    ),
    ("the file is larger than 100 MB", "berkas lebih besar dari 100 MB"),
    ("the download took longer than 30 seconds", "unduhan lebih lama dari 30 detik"),
    ("the file could not be stored", "berkas tidak dapat disimpan"),
    (
        "the disk of the gateway is nearly full: the file could not be stored",
        "disk gateway hampir penuh: berkas tidak dapat disimpan",
    ),
    ("the file is not there any more", "berkas sudah tidak ada"),
    ("the file is empty", "berkas kosong"),
    ("the file cannot be read as audio", "berkas tidak terbaca sebagai audio"),
    ("the file cannot be read", "berkas tidak terbaca"),
    ("a voice note may last 30 minutes at most", "pesan suara paling lama 30 menit"),
    ("the file is too large for a voice note", "berkas terlalu besar untuk pesan suara"),
    ("the conversion to a voice note took too long", "pengubahan menjadi pesan suara terlalu lama"),
    ("the voice note could not be stored", "pesan suara tidak dapat disimpan"),
    ("the file is not an image", "berkas bukan gambar"),
    ("the file is not a video", "berkas bukan video"),
    ("the file is not an audio file", "berkas bukan audio"),
    (
        "the file is not a sticker: it must be WebP, PNG or JPEG",
        "berkas bukan stiker: harus WebP, PNG, atau JPEG",
    ),
    (
        "{} cannot be sent as an image; send it as a document",
        "{} tidak dapat dikirim sebagai gambar; kirim sebagai dokumen",
    ),
    (
        "{} cannot be sent as a video; send it as a document",
        "{} tidak dapat dikirim sebagai video; kirim sebagai dokumen",
    ),
    (
        "{} cannot be sent as an audio file; send it as a document",
        "{} tidak dapat dikirim sebagai audio; kirim sebagai dokumen",
    ),
    (
        "{} cannot be sent as a sticker: it must be WebP, PNG or JPEG; send it as a document",
        "{} tidak dapat dikirim sebagai stiker: harus WebP, PNG, atau JPEG; kirim sebagai dokumen",
    ),
    ("a file cannot be sent as {}", "berkas tidak dapat dikirim sebagai {}"),
    (
        "the image cannot be decoded, or has too many pixels",
        "gambar tidak terbaca, atau pikselnya terlalu banyak",
    ),
    (
        "it is no JPEG, PNG or WebP that can be decoded, or has too many pixels",
        "bukan JPEG, PNG, atau WebP yang terbaca, atau pikselnya terlalu banyak",
    ),
    ("the sticker could not be written", "stiker tidak dapat ditulis"),
    ("what fetches the file cannot be read", "keterangan untuk mengambil berkas tidak terbaca"),
    ("the media store takes no file", "penyimpanan media tidak menerima berkas"),
    ("the file could not be written to the disk", "berkas tidak dapat ditulis ke disk"),
    (
        "neither WhatsApp nor the phone has the file any more",
        "WhatsApp dan ponsel sudah tidak memiliki berkas ini",
    ),
    ("the phone could not upload the file again", "ponsel tidak dapat mengunggah berkas lagi"),
    (
        "WhatsApp has the file no longer, and the phone does not answer",
        "WhatsApp sudah tidak memiliki berkas ini, dan ponsel tidak menjawab",
    ),
    (
        "the file is not the one that was sent: its hash differs",
        "berkas bukan yang dikirim: sidiknya berbeda",
    ),
    (
        "the file cannot be decrypted with the key that came with it",
        "berkas tidak dapat dibuka dengan kunci yang menyertainya",
    ),
    ("the file could not be fetched whole", "berkas tidak dapat diambil seluruhnya"),
    ("the file could not be read", "berkas tidak dapat dibaca"),
    (
        "the message does not say how to fetch its file: {}",
        "pesan tidak menyebut cara mengambil berkasnya: {}",
    ),
    ("it has no path", "tanpa alamat"),
    ("it has no key", "tanpa kunci"),
    ("it has no hash", "tanpa sidik"),
    ("it cannot be written down", "tidak dapat dicatat"),
    ("the file was kept for as long as files are kept", "masa simpan berkas sudah habis"),
    (
        "the stored files of the account had reached their limit, and newer ones took its place",
        "berkas tersimpan di akun mencapai batas, dan digantikan yang lebih baru",
    ),
    (
        "the device fetches no files (media_download)",
        "perangkat diatur untuk tidak mengambil berkas",
    ),
    (
        "the device that received the file was removed",
        "perangkat yang menerima berkas sudah dihapus",
    ),
    // Webhooks.
    ("switched off by its owner", "dinonaktifkan oleh pemiliknya"),
    ("its receiver answered 410 (gone)", "penerimanya menjawab 410 (sudah tidak ada)"),
    ("the address is not a valid URL", "alamatnya bukan URL yang benar"),
    ("a header of the request is not valid", "header permintaan tidak benar"),
    (
        "the address holds a user name or a password",
        "alamatnya berisi nama pengguna atau kata sandi",
    ),
    ("the address is not allowed", "alamatnya tidak diizinkan"),
    ("the receiver could not be reached", "penerima tidak dapat dijangkau"),
    ("the receiver's certificate is not valid", "sertifikat penerima tidak sah"),
    ("the receiver did not answer in time", "penerima tidak menjawab pada waktunya"),
    (
        "the receiver closed the connection without an answer",
        "penerima menutup koneksi tanpa jawaban",
    ),
    ("the receiver answered {} instead of 200", "penerima menjawab {}, bukan 200"),
    ("the receiver did not answer with the challenge", "penerima tidak mengulangi tantangannya"),
    ("the receiver answered {}", "penerima menjawab {}"),
    ("the receiver did not answer", "penerima tidak menjawab"),
];

/// What people call the fields of the API.
const FIELDS: &[(&str, &str, &str)] = &[
    ("name", "Name", "Nama"),
    ("email", "Email", "Email"),
    ("plan", "Plan", "Paket"),
    ("timezone", "Time zone", "Zona waktu"),
    ("default_country", "Country code", "Kode negara"),
    ("device", "Device", "Perangkat"),
    ("device_limit", "Devices", "Perangkat"),
    ("messages_per_day", "Messages a day", "Pesan per hari"),
    ("messages_per_month", "Messages a month", "Pesan per bulan"),
    ("requests_per_minute", "Requests a minute", "Permintaan per menit"),
    ("devices_per_s", "Devices a second", "Perangkat per detik"),
    ("pacing", "Pacing", "Jeda kirim"),
    ("proxy", "Proxy", "Proksi"),
    ("reject_text", "Text to callers", "Teks untuk penelepon"),
    ("phone", "Phone number", "Nomor telepon"),
    ("scopes", "May", "Boleh"),
    ("may", "May", "Boleh"),
    ("expires_at", "Expires", "Kedaluwarsa"),
    ("expires_in_s", "Valid for", "Berlaku selama"),
    ("valid_days", "Days", "Hari"),
    ("days", "Days", "Hari"),
    ("count", "How many", "Jumlah"),
    ("messages", "Messages", "Pesan"),
    ("url", "Address", "Alamat"),
    ("events", "Events", "Kejadian"),
    ("format", "Format", "Format"),
    ("secret", "Secret", "Rahasia"),
    ("to", "To", "Kepada"),
    ("chat", "Number or group", "Nomor atau grup"),
    ("q", "Text contains", "Teks memuat"),
    ("page", "Page", "Halaman"),
    ("text", "Text", "Teks"),
    ("schedule_at", "Not before", "Tidak sebelum"),
    ("retry_interval_s", "Pause between attempts", "Jeda antar percobaan"),
    ("priority", "Priority", "Prioritas"),
    ("reply_to", "Reply to", "Balasan untuk"),
    ("reaction.message", "Reaction to", "Reaksi untuk"),
    ("reaction.emoji", "Reaction", "Reaksi"),
    ("mentions", "Mentions", "Sebutan"),
    ("media.url", "Address of the file", "Alamat berkas"),
    ("media.base64", "File", "Berkas"),
    ("media.filename", "Name of the file", "Nama berkas"),
    ("media.mimetype", "Type of the file", "Jenis berkas"),
    ("media.kind", "Kind", "Jenis"),
    ("media.caption", "Caption", "Keterangan"),
    ("media.view_once", "View once", "Sekali lihat"),
    ("media.gif", "GIF", "GIF"),
    ("location.latitude", "Latitude", "Lintang"),
    ("location.longitude", "Longitude", "Bujur"),
    ("location.name", "Name of the place", "Nama tempat"),
    ("location.address", "Address", "Alamat"),
    ("contacts", "Contacts", "Kontak"),
    ("contacts.name", "Name of the contact", "Nama kontak"),
    ("contacts.phone", "Number of the contact", "Nomor kontak"),
    ("contacts.organization", "Company", "Perusahaan"),
    ("poll.question", "Question", "Pertanyaan"),
    ("poll.options", "Answers", "Jawaban"),
    ("poll.selectable", "Answers of each", "Jawaban tiap orang"),
    ("subject", "Name of the group", "Nama grup"),
    ("description", "Description", "Deskripsi"),
    ("picture", "Picture", "Gambar"),
    ("participants", "People", "Orang"),
    ("people", "People", "Orang"),
    ("code", "Code", "Kode"),
    ("assertion", "Passkey", "Passkey"),
];

/// A text of the core in the reader's language.
pub(super) fn said(lang: Lang, text: &str) -> Cow<'_, str> {
    let table = match lang {
        Lang::En => IN_ENGLISH.as_slice(),
        Lang::Id => IN_INDONESIAN,
    };
    let found = table.iter().find_map(|(known, there)| Some((values(known, text)?, there)));
    let Some((values, there)) = found else { return Cow::Borrowed(text) };
    let mut values = values.into_iter();
    let mut pieces = there.split("{}");
    let mut said = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        said += &values.next().map_or(Cow::Borrowed(""), |value| self::said(lang, value));
        said += piece;
    }
    Cow::Owned(said)
}

/// What stands in a text where the pattern has `{}`; `None` when it is not of this pattern.
fn values<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = pattern.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty().then(Vec::new) };
    let mut values = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        let (value, after) = rest.split_once(piece)?;
        values.push(value);
        rest = after;
    }
    values.push(rest.strip_suffix(last)?);
    Some(values)
}

/// What people call a field, and what is wrong with it; without the field where it has no name for people.
pub(super) fn field_fault(lang: Lang, field: &str, message: &str) -> String {
    let message = said(lang, message);
    match field_name(lang, field) {
        Some(name) => format!("{name}: {message}"),
        None => message.into_owned(),
    }
}

fn field_name(lang: Lang, field: &str) -> Option<&'static str> {
    // Of a list no item is named: `contacts[0].phone` is the number of a contact.
    let path: String =
        field.split('[').map(|part| part.rsplit(']').next().unwrap_or(part)).collect();
    let (_, english, indonesian) = FIELDS.iter().find(|(known, ..)| *known == path)?;
    Some(match lang {
        Lang::En => english,
        Lang::Id => indonesian,
    })
}

#[cfg(test)]
#[path = "tests/reasons.rs"]
mod tests;
