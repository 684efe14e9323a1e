//! What is done to a message that was sent: another text, deleting it for everyone, answering it in its chat.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use domain::chat::ChatId;
use domain::error::Error;
use domain::ids::MessageId;
use domain::message::{AMEND_MAX, Direction, Message, MessageState, REVOKE_MAX};
use domain::person::Role;
use jiff::SignedDuration;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{InAccount, Person, Posted, id};
use super::chats::chat_path;
use super::compose::{self, SendWords};
use super::failure::{PageResult, redirect};
use super::layout::{self, Place};
use super::message_acts::idempotency;
use super::named_people::{mentions_in, written_mentions};
use super::show::Confirm;
use super::words::words;
use crate::state::AppState;

words! {
    /// The texts of these acts.
    EditWords
    edit: "Change the text", "Ubah teks";
    edit_help: "Phones show the new text in place of the old one, for 15 minutes after it was sent.", "Ponsel menampilkan teks baru menggantikan yang lama, selama 15 menit setelah terkirim.";
    revoke: "Delete for everyone", "Hapus untuk semua orang";
    revoke_warning: "1 message is deleted on the recipient's phone. Who has read it has read it.", "1 pesan dihapus di ponsel penerima. Yang sudah membacanya tetap sudah membaca.";
    answer: "Reply or react in the chat", "Balas atau beri reaksi di obrolan";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/messages/{id}/edit", post(edit))
        .route("/app/messages/{id}/revoke", get(ask_revoke).post(revoke))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct EditForm {
    text: String,
    /// Whom the text mentions, one a line; `None` where the form does not ask.
    mentions: Option<String>,
    key: String,
}

/// The acts that are possible now.
pub(super) fn acts(person: &Person, message: &Message) -> Markup {
    let (own, of_send) = (EditWords::of(person.lang), SendWords::of(person.lang));
    let path = format!("/app/messages/{}", message.id);
    let mentions = written_mentions(of_send.all, &message.context.mentions);
    let may_act = person.visitor.role() >= Role::Member;
    let is_answerable = !message.state.is_waiting()
        && message.reached_or_passed(MessageState::Sent).is_some()
        && !matches!(message.chat, ChatId::Other(_));
    html! {
        @if may_act && is_answerable {
            p.row {
                a.button.plain href={ (chat_path(message.device_id, &message.chat)) "?to=" (message.id) "#write" } {
                    (own.answer)
                }
                @if is_ours_since(person, message, REVOKE_MAX) {
                    a.button.plain.danger-text href={ (path) "/revoke" } { (own.revoke) }
                }
            }
        }
        @if let (true, Some(text)) = (may_act, message.content.editable_text())
            && is_ours_since(person, message, AMEND_MAX)
        {
            details {
                summary { (own.edit) }
                form.stack method="post" action={ (path) "/edit" } {
                    (person.csrf())
                    label.hidden for="text" { (own.edit) }
                    textarea #text name="text" required aria-describedby="text-help" { (text) }
                    span.help #text-help { (own.edit_help) }
                    (compose::mentions(of_send, &mentions, None))
                    button { (own.edit) }
                }
            }
        }
    }
}

/// Whether it is ours, was sent no longer ago than this, and can still be changed.
fn is_ours_since(person: &Person, message: &Message, within: SignedDuration) -> bool {
    let sent_at = message.reached_or_passed(MessageState::Sent);
    message.direction() == Direction::Out
        && !message.content.is_change()
        && message.context.changes.revoked_at.is_none()
        && sent_at.is_some_and(|at| person.now.duration_since(at) < within)
}

async fn edit(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<EditForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let id = MessageId(id(&text, "message")?);
    let new = form.text.replace("\r\n", "\n");
    let mentions = form.mentions.as_deref().map(mentions_in);
    let what = format!("{id} {new} {mentions:?}");
    let key = idempotency("POST /app/messages/{id}/edit", &form.key, &what);
    state.core().edit_message(person.principal(), id, new.as_str().into(), mentions, key).await?;
    Ok(redirect(&format!("/app/messages/{id}")))
}

async fn ask_revoke(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let message =
        state.core().message(person.principal(), MessageId(id(&text, "message")?)).await?;
    if message.direction() == Direction::In {
        return Err(Error::NotFound("message").into());
    }
    let own = EditWords::of(person.lang);
    let path = format!("/app/messages/{}", message.id);
    let confirm = Confirm {
        title: own.revoke,
        what: html! { p { (own.revoke_warning) } },
        action: &format!("{path}/revoke"),
        button: own.revoke,
        back: &path,
    };
    Ok(layout::page(&person, Place::Messages, own.revoke, &confirm.render(&person)))
}

async fn revoke(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<EditForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let id = MessageId(id(&text, "message")?);
    let key = idempotency("POST /app/messages/{id}/revoke", &form.key, &id.to_string());
    state.core().revoke_message(person.principal(), id, key).await?;
    Ok(redirect(&format!("/app/messages/{id}")))
}
