'use strict';

// The pages are written in English; for readers of Indonesian their texts are replaced, by the language that was
// chosen in the dashboard, else by the browser's.
const INDONESIAN = {
  'Simulated WhatsApp': 'WhatsApp simulasi',
  'Simulated phone': 'Ponsel simulasi',
  'Every number has a phone here. Nothing leaves this machine.': 'Setiap nomor punya ponsel di sini. Tidak ada yang keluar dari mesin ini.',
  'Open the phone of': 'Buka ponsel milik',
  'Open': 'Buka',
  'Phones seen lately': 'Ponsel yang baru terlihat',
  'None yet. Send a message to any number, or open one above.': 'Belum ada. Kirim pesan ke nomor mana pun, atau buka satu di atas.',
  'Groups': 'Grup',
  'None yet.': 'Belum ada.',
  'Name of a new group': 'Nama grup baru',
  'Numbers, with spaces between; the first one creates it': 'Nomor, dipisah spasi; yang pertama membuatnya',
  'Only admins write': 'Hanya admin yang menulis',
  'Create the group': 'Buat grup',
  'Add a number': 'Tambah nomor',
  'Add': 'Tambah',
  'Remove': 'Keluarkan',
  'Everybody reads': 'Semua membaca',
  'Faults': 'Gangguan',
  'They hold until they are ended, or the simulator restarts.': 'Berlaku sampai diakhiri, atau simulator dimulai ulang.',
  'Messages arrive, but are not acknowledged': 'Pesan sampai, tetapi tidak dikonfirmasi',
  'Messages are lost': 'Pesan hilang',
  'Everything is late by (ms)': 'Semuanya terlambat (md)',
  'Refuse messages from and to': 'Tolak pesan dari dan ke',
  'End the connection of': 'Putuskan koneksi milik',
  'with the code': 'dengan kode',
  'Set these faults': 'Terapkan gangguan ini',
  'End all faults': 'Akhiri semua gangguan',
  'Set.': 'Diterapkan.',
  'No faults.': 'Tidak ada gangguan.',
  'Created.': 'Dibuat.',
  'message': 'pesan',
  'messages': 'pesan',
  'member': 'anggota',
  'members': 'anggota',
  'linked device': 'perangkat tertaut',
  'linked devices': 'perangkat tertaut',
  'All phones': 'Semua ponsel',
  'Phone': 'Ponsel',
  'Chats': 'Obrolan',
  'No messages yet.': 'Belum ada pesan.',
  'Write to a number': 'Tulis ke nomor',
  'Write to a number…': 'Tulis ke nomor…',
  'Open the chat': 'Buka obrolan',
  'All chats': 'Semua obrolan',
  'Messages': 'Pesan',
  'Message': 'Pesan',
  'Send': 'Kirim',
  'This phone': 'Ponsel ini',
  'Online': 'Daring',
  'Registered with WhatsApp': 'Terdaftar di WhatsApp',
  'Linking demands a passkey': 'Penautan meminta passkey',
  'Receipts': 'Tanda terima',
  'delivered, then read': 'sampai, lalu dibaca',
  'delivered only': 'hanya sampai',
  'none': 'tidak ada',
  'Mark all as read': 'Tandai semua dibaca',
  'Link a device': 'Tautkan perangkat',
  'QR text, or the 8-character code': 'Teks QR, atau kode 8 karakter',
  'Link': 'Tautkan',
  'Linked devices': 'Perangkat tertaut',
  'None.': 'Tidak ada.',
  'Group': 'Grup',
  '📷 Photo': '📷 Foto',
  '🎥 Video': '🎥 Video',
  '🎵 Audio': '🎵 Audio',
  '📄 Document': '📄 Dokumen',
  'Sticker': 'Stiker',
  '⚠️ A file that does not open': '⚠️ Berkas yang tidak dapat dibuka',
  '🎤 Voice message': '🎤 Pesan suara',
  'Voice message': 'Pesan suara',
  'File': 'Berkas',
  'A picture': 'Gambar',
  'The sender sees: ': 'Yang dilihat pengirim: ',
  'sent': 'terkirim',
  'received': 'diterima',
  'delivered': 'sampai',
  'read': 'dibaca',
  'played': 'diputar',
  'device': 'perangkat',
  'connected': 'terhubung',
  'away': 'tidak terhubung',
  'Unlink': 'Lepas tautan',
  'Unlinked.': 'Tautan dilepas.',
  'Linked.': 'Tertaut.',
  'Linking…': 'Menautkan…',
  'not registered': 'tidak terdaftar',
  'online': 'daring',
  'offline: mail waits': 'luring: pesan menunggu',
  'reconnecting…': 'menghubungkan lagi…',
  'Code to compare: ': 'Kode untuk dicocokkan: ',
  'A device waits for its code.': 'Sebuah perangkat menunggu kodenya.',
  'The device has been asked for a passkey.': 'Perangkat diminta memakai passkey.',
};

const chosen = /(?:^|; )gerbang_lang=(en|id)/.exec(document.cookie)?.[1];
const preferred = navigator.languages.map((language) => language.split('-')[0]).find((language) => ['en', 'id'].includes(language));
const isIndonesian = (chosen ?? preferred) === 'id';
const t = (text) => (isIndonesian ? INDONESIAN[text] ?? text : text);

if (isIndonesian) {
  document.documentElement.lang = 'id';
  document.title = t(document.title);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const text = node.data.trim();
    if (text) node.data = node.data.replace(text, () => t(text));
  }
  for (const name of ['aria-label', 'placeholder']) {
    for (const element of document.querySelectorAll(`[${name}]`)) element.setAttribute(name, t(element.getAttribute(name)));
  }
}
