//! Programs side by side, with a switch of radio buttons: one is shown at a time, without a script.

use std::fmt::Write as _;

use super::html::escape;
use super::sources::File;

/// What the programs read from the environment.
const SETTINGS: [(&str, &str, &str); 6] = [
    ("GERBANG_KEY", "…", "an account key, or the device's token"),
    ("GERBANG_DEVICE", "…", "the device's id"),
    ("GERBANG_SENDER", "628…", "the device's phone number"),
    ("GERBANG_TO", "628…", "the receiver"),
    ("GERBANG_MEDIA_URL", "https://…/a.png", "a picture's direct link"),
    ("GERBANG_WEBHOOK_SECRET", "…", "shown when the webhook is made"),
];

/// The lines that set what these programs ask for.
pub(super) fn settings(files: &[&File], address: &str) -> String {
    let asks = |name: &str| files.iter().any(|file| file.text.contains(name));
    let mut lines = Vec::new();
    if asks("GERBANG_URL") {
        lines.push(format!("export GERBANG_URL={address}"));
    }
    for (name, value, meaning) in SETTINGS {
        if asks(name) {
            lines.push(format!("{:<44}# {meaning}", format!("export {name}={value}")));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("<pre><code>{}</code></pre>\n", escape(&lines.join("\n")))
}

/// The programs; each can be fetched below `folder`. `group` tells two switches of a page apart.
pub(super) fn tabs(group: &str, files: &[&File], folder: &str) -> String {
    let mut files = files.to_vec();
    files.sort_by_key(|file| file.language().0.to_ascii_lowercase());
    let mut html = String::from("<div class=\"tabs\">\n");
    for (index, file) in files.iter().enumerate() {
        let (language, _) = file.language();
        let id = format!("{group}-{}", escape(file.name));
        let checked = if index == 0 { " checked" } else { "" };
        let _ = writeln!(
            html,
            "<input type=\"radio\" name=\"{group}\" id=\"{id}\"{checked}>\
             <label for=\"{id}\">{language}</label>"
        );
    }
    for file in &files {
        let (name, url) = (escape(file.name), escape(&format!("{folder}/{}", file.name)));
        let _ = writeln!(
            html,
            "<figure><figcaption><code>curl -sSO {url} &amp;&amp; {command}</code> \
             <a href=\"{url}\">{name}</a></figcaption>\n<pre><code>{text}</code></pre></figure>",
            command = escape(&command(file)),
            text = escape(file.text),
        );
    }
    html.push_str("</div>\n");
    html
}

/// What runs it. PHP takes no requests by itself: its own server does.
fn command(file: &File) -> String {
    let (language, run) = file.language();
    let is_receiver = !file.name.starts_with("client.");
    let server = if language == "PHP" && is_receiver { " -S 0.0.0.0:8000" } else { "" };
    format!("{run}{server} {}", file.name)
}
