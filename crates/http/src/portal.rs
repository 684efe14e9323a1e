//! The page that leads the owner of a phone through a passkey that WhatsApp asks for.
//!
//! A passkey answers on WhatsApp's own site only, so the page cannot ask for it: it shows a few lines to
//! run there, and takes what they print. Its address is all that is needed to use it: it is made of
//! the challenge, which only those know who may pair the device, and ends with it.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use domain::device::PairOffer;
use domain::error::Error;
use domain::ids::DeviceId;
use domain::passkey::{PasskeyStep, page_token};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::api_error::{ApiError, ApiResult};
use crate::assertion::read_assertion;
use crate::body::read_fields;
use crate::dashboard::in_words;
use crate::dashboard::words::{Lang, words};
use crate::html::{code_block, page_in, respond_with_form};
use crate::native::V1;
use crate::native::problem;
use crate::routes::{Access, Route};
use crate::state::AppState;

const PAGE: &str = "/portal/pair/{device}/{token}";

words! {
    /// The texts of the page.
    PasskeyWords
    title: "Link a device with a passkey", "Tautkan perangkat dengan passkey";
    valid: "This page is valid for another {} minutes.", "Halaman ini berlaku {} menit lagi.";
    lead: "WhatsApp protects this account with a passkey, and wants it before it links the device. A passkey answers on WhatsApp's own site only, so this page cannot ask for it by itself. Use a computer whose browser has the passkey, or can reach the phone that has it by Bluetooth.", "WhatsApp melindungi akun ini dengan passkey, dan memintanya sebelum menautkan perangkat. Passkey hanya menjawab di situs WhatsApp sendiri, jadi halaman ini tidak dapat memintanya langsung. Gunakan komputer yang perambannya menyimpan passkey, atau yang dapat menjangkau ponsel penyimpannya lewat Bluetooth.";
    open: "Open", "Buka";
    open_where: "in another tab. Scan nothing there.", "di tab lain. Jangan pindai apa pun di sana.";
    console: "Open the browser's console: F12, then “Console” (Safari: “Show JavaScript Console” in the Develop menu). A browser that has never been used for this wants “allow pasting” typed first.", "Buka konsol peramban: F12, lalu “Console” (Safari: “Show JavaScript Console” di menu Develop). Peramban yang belum pernah dipakai untuk ini meminta “allow pasting” diketik dahulu.";
    paste: "Paste these lines there and press Enter. They ask your passkey to answer WhatsApp's challenge, and send nothing anywhere.", "Tempel baris-baris ini di sana lalu tekan Enter. Isinya meminta passkey Anda menjawab permintaan WhatsApp, dan tidak mengirim apa pun ke mana pun.";
    click: "Click anywhere into WhatsApp's page, and use the passkey as the browser asks.", "Klik di mana saja pada halaman WhatsApp, lalu pakai passkey seperti yang diminta peramban.";
    copy: "Copy the text that appears, and paste it here.", "Salin teks yang muncul, lalu tempel di sini.";
    copy_all: "Copy all of this", "Salin semuanya";
    answer: "The passkey's answer", "Jawaban passkey";
    no_answer: "This is not what a passkey answers. Copy all of the text that appears, from { to }.", "Ini bukan jawaban passkey. Salin seluruh teks yang muncul, dari { sampai }.";
    send: "Send it to WhatsApp", "Kirim ke WhatsApp";
    taken: "WhatsApp has taken the passkey. Continue on the phone until it shows a code.", "WhatsApp menerima passkey. Lanjutkan di ponsel sampai muncul kode.";
    shows_code: "The phone shows a code", "Ponsel menampilkan kode";
    compare: "Compare this code with the one on the phone:", "Bandingkan kode ini dengan kode di ponsel:";
    same: "It is the same: link the device", "Sama: tautkan perangkat";
    another: "If it is another one, somebody else is trying to link a device: close this page.", "Bila berbeda, orang lain sedang mencoba menautkan perangkat: tutup halaman ini.";
    linked: "The device is linked", "Perangkat sudah tertaut";
    linked_help: "WhatsApp has taken the confirmation. This page may be closed.", "WhatsApp menerima konfirmasinya. Halaman ini boleh ditutup.";
    over: "This page is over", "Halaman ini tidak berlaku lagi";
    over_help: "WhatsApp waits ten minutes for a passkey. If the device is not linked yet, begin again with its QR or code, and open the new page.", "WhatsApp menunggu passkey selama sepuluh menit. Bila perangkat belum tertaut, mulai lagi dengan QR atau kodenya, lalu buka halaman yang baru.";
}

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(PAGE, Access::Public, show)
            .summary("The page that leads through a passkey; its address is the `page` of an offer")
            .answers_type(200, "text/html")
            .errors_as_pages()
            .error(404, "There is no such challenge, or it is over"),
        Route::post(PAGE, Access::Public, give)
            .summary("Takes the answer of a passkey from its page")
            .answers_type(303, "")
            .errors_as_pages()
            .error(404, "There is no such challenge, or it is over")
            .error(409, "The answer was given already")
            .error(422, "It is no answer to this challenge"),
        Route::post("/portal/pair/{device}/{token}/confirm", Access::Public, confirm)
            .summary("Takes the confirmation of the code from the page of a passkey")
            .answers_type(200, "text/html")
            .errors_as_pages()
            .error(404, "There is no such challenge, or it is over")
            .error(409, "There is no code yet"),
    ]
}

/// The path of the page of a challenge.
pub fn page_path(device: DeviceId, request: &str) -> String {
    format!("/portal/pair/{device}/{}", page_token(request))
}

/// The page that a path names.
#[derive(Deserialize)]
struct Named {
    device: String,
    token: String,
}

impl Named {
    fn device(&self) -> Result<DeviceId, Error> {
        self.device.parse().map_err(|_| Error::NotFound("page"))
    }
}

#[derive(Deserialize)]
struct AnswerForm {
    #[serde(default)]
    assertion: String,
}

async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(named): Path<Named>,
) -> ApiResult<V1> {
    Ok(rendered(&state, &named, Lang::of(&headers), StatusCode::OK, None).await)
}

async fn give(
    State(state): State<AppState>,
    Path(named): Path<Named>,
    request: Request,
) -> ApiResult<V1> {
    let (parts, body) = request.into_parts();
    let given = async {
        let form: AnswerForm = read_fields(None, &parts.headers, body).await?;
        let assertion = read_assertion(&Value::String(form.assertion))?;
        let device = named.device()?;
        Ok(state.core().give_passkey_on_page(device, &named.token, assertion).await?)
    };
    match given.await {
        Ok(_) => Ok(back_to(parts.uri.path())),
        Err(error) => Ok(refused(&state, &named, Lang::of(&parts.headers), &error).await),
    }
}

async fn confirm(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(named): Path<Named>,
) -> ApiResult<V1> {
    let lang = Lang::of(&headers);
    let confirmed = async {
        let device = named.device()?;
        Ok(state.core().confirm_passkey_on_page(device, &named.token).await?)
    };
    match confirmed.await {
        Ok(()) => Ok(answer(lang, StatusCode::OK, &linked(lang))),
        Err(error) => Ok(refused(&state, &named, lang, &error).await),
    }
}

fn back_to(path: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

/// The page as it is, with what was wrong.
async fn refused(state: &AppState, named: &Named, lang: Lang, error: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(problem::kind(error).status);
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fault = match error {
        // Its parts are the passkey's, not the reader's.
        ApiError::Field { .. } => PasskeyWords::of(lang).no_answer.to_owned(),
        error => in_words(error, lang),
    };
    rendered(state, named, lang, status, Some(&fault)).await
}

async fn rendered(
    state: &AppState,
    named: &Named,
    lang: Lang,
    status: StatusCode,
    fault: Option<&str>,
) -> Response<Body> {
    let offer = async { state.core().passkey_page(named.device()?, &named.token).await };
    match offer.await {
        Ok(PairOffer::Passkey { request, step, expires_in_s }) => {
            let path = format!("/portal/pair/{}/{}", named.device, named.token);
            answer(lang, status, &body(lang, &path, (request.as_str(), &step, expires_in_s), fault))
        }
        _ => answer(lang, StatusCode::NOT_FOUND, &over(lang, fault)),
    }
}

fn answer(lang: Lang, status: StatusCode, body: &Markup) -> Response<Body> {
    respond_with_form(status, page_in(lang.code(), PasskeyWords::of(lang).title, body))
}

fn body(
    lang: Lang,
    path: &str,
    (request, step, expires_in_s): (&str, &PasskeyStep, u64),
    fault: Option<&str>,
) -> Markup {
    let words = PasskeyWords::of(lang);
    html! {
        main.columns.steps {
            h1 { (words.title) }
            p.at { (words.valid.replace("{}", &expires_in_s.div_ceil(60).to_string())) }
            @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
            @match step {
                PasskeyStep::Requested => (ask_for_passkey(words, path, request)),
                PasskeyStep::Accepted => (wait_for_phone(words, path)),
                PasskeyStep::Confirm(code) => (compare(words, path, code)),
            }
        }
    }
}

fn ask_for_passkey(words: &PasskeyWords, path: &str, request: &str) -> Markup {
    html! {
        p { (words.lead) }
        ol {
            li {
                (words.open) " " a href="https://web.whatsapp.com/" rel="noreferrer" target="_blank" {
                    "web.whatsapp.com"
                } " " (words.open_where)
            }
            li { (words.console) }
            li { (words.paste) (code_block(&snippet(words, request))) }
            li { (words.click) }
            li { (words.copy) }
        }
        form method="post" action=(path) {
            label for="assertion" { (words.answer) }
            textarea #assertion name="assertion" rows="5" required spellcheck="false"
                autocomplete="off" {}
            button { (words.send) }
        }
    }
}

fn wait_for_phone(words: &PasskeyWords, path: &str) -> Markup {
    html! {
        p { (words.taken) }
        p { a href=(path) { (words.shows_code) } }
    }
}

fn compare(words: &PasskeyWords, path: &str, code: &str) -> Markup {
    html! {
        p { (words.compare) }
        p.code-to-compare { (code) }
        form method="post" action={ (path) "/confirm" } {
            button { (words.same) }
        }
        p { (words.another) }
    }
}

fn linked(lang: Lang) -> Markup {
    let words = PasskeyWords::of(lang);
    html! {
        main.columns.steps {
            h1 { (words.linked) }
            p { (words.linked_help) }
        }
    }
}

fn over(lang: Lang, fault: Option<&str>) -> Markup {
    let words = PasskeyWords::of(lang);
    html! {
        main.columns.steps {
            h1 { (words.over) }
            @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
            p { (words.over_help) }
        }
    }
}

/// What to run on WhatsApp's site. A browser asks for a passkey only after a click.
fn snippet(words: &PasskeyWords, request: &str) -> String {
    // Written anew: what WhatsApp sent cannot be anything but a value in it.
    let options: Value = serde_json::from_str(request).unwrap_or_default();
    let copy_all = Value::from(words.copy_all);
    format!(
        "document.addEventListener(\"click\", async () => {{\n  \
           const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON({options});\n  \
           const answer = await navigator.credentials.get({{ publicKey }});\n  \
           prompt({copy_all}, JSON.stringify(answer.toJSON()));\n\
         }}, {{ once: true, capture: true }});"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_hold_the_options_as_a_value() {
        let words = PasskeyWords::of(Lang::En);
        let lines = snippet(words, r#"{"challenge":"AQ","rpId":"whatsapp.com"}"#);
        let options = r#"parseRequestOptionsFromJSON({"challenge":"AQ","rpId":"whatsapp.com"});"#;
        assert!(lines.contains(options), "{lines}");
        assert!(snippet(words, "alert(1)").contains("parseRequestOptionsFromJSON(null);"));
        let indonesian = snippet(PasskeyWords::of(Lang::Id), "{}");
        assert!(indonesian.contains("prompt(\"Salin semuanya\", JSON.stringify"), "{indonesian}");
    }
}
