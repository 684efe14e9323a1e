//! The published check of a webhook's signature, run by real PHP over texts that are hard to write.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::message::TEXT_CHARS_MAX;

use super::webhooks::encoded_text;

/// Reads lines of secret, body and signature in base64; says which of them PHP would refuse.
const CHECK: &str = r#"
$refused = [];
foreach (explode("\n", trim(stream_get_contents(STDIN))) as $index => $line) {
    [$secret, $body, $signature] = array_map('base64_decode', explode(' ', $line));
    foreach ([true, false] as $as_array) {
        $payload = json_decode($body, $as_array);
        $again = json_encode($payload);
        if ($again !== $body) {
            $refused[] = "$index: other bytes";
        }
        if (!hash_equals(hash_hmac('sha256', $again, $secret), $signature)) {
            $refused[] = "$index: wrong signature";
        }
    }
}
echo "PHP has checked ", $index + 1, ": ", implode(', ', $refused);
"#;

#[test]
fn real_php_agrees_with_every_byte_and_signature() {
    let texts = [
        "Hello, I need help!".to_owned(),
        String::new(),
        " ".to_owned(),
        "0".to_owned(),
        "1.0".to_owned(),
        "👋🏽 👩‍👩‍👧‍👦 🇮🇩 \u{1f9ff}".to_owned(),
        "مرحبا بالعالم \u{202e}txt.exe\u{202c} שלום".to_owned(),
        "\"'`\\ \\\" \\u0041 \\/ //".to_owned(),
        "https://domain.com/a/b?c=d&e=f#g".to_owned(),
        "</script><script>alert('x')</script><!-- -->".to_owned(),
        (0..=0x1f).chain([0x7f]).map(char::from).collect(),
        "\u{80}\u{85}\u{9f}\u{a0}\u{ad}".to_owned(),
        "\u{2028}\u{2029}\u{feff}\u{200b}\u{200f}".to_owned(),
        "\u{d7ff}\u{e000}\u{fffd}\u{fffe}\u{ffff}\u{10000}\u{10ffff}".to_owned(),
        "e\u{301} é ﷽ Ǆ ß 漢字 ก็".to_owned(),
        "{\"data\":{}} [] {} null".to_owned(),
        "😀/é\"".repeat(TEXT_CHARS_MAX / 4),
    ];
    let secrets = ["whsec", "a longer secret with / \" and é", &"k".repeat(256)];
    let mut lines = String::new();
    let mut count = 0;
    for text in &texts {
        for secret in secrets {
            let request = encoded_text(text, secret);
            let signature = &request.headers[0].1;
            let fields = [secret.as_bytes(), &request.body, signature.as_bytes()];
            lines += &fields.map(|field| STANDARD.encode(field)).join(" ");
            lines.push('\n');
            count += 1;
        }
    }
    assert_eq!(php(CHECK, lines), format!("PHP has checked {count}: "));
}

/// Runs PHP, which `cargo xtask test` installs.
fn php(script: &str, input: String) -> String {
    let mut php = Command::new("php")
        .args(["-n", "-r", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("php runs; on Debian: apt-get install php-cli");
    let mut stdin = php.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = php.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
