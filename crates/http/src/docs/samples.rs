//! Programs side by side, with a switch of radio buttons: one is shown at a time, without a script.

use maud::{Markup, html};

use super::sources::File;
use crate::html::code_block;

/// What the programs read from the environment.
const SETTINGS: [(&str, &str, &str); 6] = [
    ("GERBANG_KEY", "…", "an account key, or the device's token"),
    ("GERBANG_DEVICE", "…", "the device's id"),
    ("GERBANG_SENDER", "628…", "the device's phone number"),
    ("GERBANG_TO", "628…", "the receiver"),
    ("GERBANG_MEDIA_URL", "https://…/a.png", "a picture's direct link"),
    ("GERBANG_WEBHOOK_SECRET", "…", "shown when the webhook is made"),
];

/// The sample clients of an API; each can be fetched below `folder`.
pub(super) fn clients(files: &[&File], address: &str, folder: &str) -> Markup {
    html! {
        p {
            "Each is one short file that needs nothing but its language (PHP: with its curl extension). "
            "Set these, then fetch and run the one you like."
        }
        (settings(files, address))
        (tabs("client", files, folder))
    }
}

/// The sample receivers of webhooks.
pub(super) fn receivers(files: &[&File], address: &str, folder: &str) -> Markup {
    html! {
        p { "It listens on port 8000, checks what it gets, and prints it." }
        (settings(files, address))
        (tabs("receiver", files, folder))
    }
}

/// The lines that set what these programs ask for.
fn settings(files: &[&File], address: &str) -> Markup {
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
    html! { @if !lines.is_empty() { (code_block(&lines.join("\n"))) } }
}

/// The programs. `group` is the name of this switch on its page.
fn tabs(group: &str, files: &[&File], folder: &str) -> Markup {
    let mut files = files.to_vec();
    files.sort_by_key(|file| file.title().to_ascii_lowercase());
    let id = |file: &File| format!("{group}-{}", file.name);
    html! {
        div.tabs role="group" aria-label={ "The " (group) " in several languages" } {
            @for (index, file) in files.iter().enumerate() {
                input type="radio" name=(group) id=(id(file)) checked[index == 0];
                label for=(id(file)) { (file.title()) }
            }
            @for file in &files { (figure(file, folder)) }
        }
    }
}

fn figure(file: &File, folder: &str) -> Markup {
    let url = format!("{folder}/{}", file.name);
    html! {
        figure {
            figcaption {
                code { "curl -sSO " (url) " && " (command(file)) }
                " " a href=(url) { (file.name) }
            }
            (code_block(file.text))
        }
    }
}

/// What runs it. PHP takes no requests by itself: its own server does.
fn command(file: &File) -> String {
    let (language, run) = file.language();
    let is_receiver = !file.name.starts_with("client.");
    let server = if language == "PHP" && is_receiver { " -S 0.0.0.0:8000" } else { "" };
    format!("{run}{server} {}", file.name)
}
