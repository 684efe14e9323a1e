//! The page that leads the owner of a phone through a passkey that WhatsApp asks for.
//!
//! A passkey answers on WhatsApp's own site only, so the page cannot ask for it: it shows a few lines to
//! run there, and takes what they print. Its address is all that is needed to use it: it is made of
//! the challenge, which only those know who may pair the device, and ends with it.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Response, StatusCode};
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
use crate::html::{code_block, page, respond_with_form};
use crate::native::V1;
use crate::native::problem;
use crate::routes::{Access, Route};
use crate::state::AppState;

const PAGE: &str = "/portal/pair/{device}/{token}";

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

async fn show(State(state): State<AppState>, Path(named): Path<Named>) -> ApiResult<V1> {
    Ok(rendered(&state, &named, StatusCode::OK, None).await)
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
        Err(error) => Ok(refused(&state, &named, &error).await),
    }
}

async fn confirm(State(state): State<AppState>, Path(named): Path<Named>) -> ApiResult<V1> {
    let confirmed = async {
        let device = named.device()?;
        Ok(state.core().confirm_passkey_on_page(device, &named.token).await?)
    };
    match confirmed.await {
        Ok(()) => Ok(answer(StatusCode::OK, &linked())),
        Err(error) => Ok(refused(&state, &named, &error).await),
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
async fn refused(state: &AppState, named: &Named, error: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(problem::kind(error).status);
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    rendered(state, named, status, Some(&problem::detail(error))).await
}

async fn rendered(
    state: &AppState,
    named: &Named,
    status: StatusCode,
    fault: Option<&str>,
) -> Response<Body> {
    let offer = async { state.core().passkey_page(named.device()?, &named.token).await };
    match offer.await {
        Ok(PairOffer::Passkey { request, step, expires_in_s }) => {
            let path = format!("/portal/pair/{}/{}", named.device, named.token);
            answer(status, &body(&path, &request, &step, expires_in_s, fault))
        }
        _ => answer(StatusCode::NOT_FOUND, &over(fault)),
    }
}

fn answer(status: StatusCode, body: &Markup) -> Response<Body> {
    respond_with_form(status, page("Link a device with a passkey", body))
}

fn body(
    path: &str,
    request: &str,
    step: &PasskeyStep,
    expires_in_s: u64,
    fault: Option<&str>,
) -> Markup {
    html! {
        main.columns.steps {
            h1 { "Link a device with a passkey" }
            p.at { "This page is valid for another " (expires_in_s.div_ceil(60)) " minutes." }
            @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
            @match step {
                PasskeyStep::Requested => (ask_for_passkey(path, request)),
                PasskeyStep::Accepted => (wait_for_phone(path)),
                PasskeyStep::Confirm(code) => (compare(path, code)),
            }
        }
    }
}

fn ask_for_passkey(path: &str, request: &str) -> Markup {
    html! {
        p {
            "WhatsApp protects this account with a passkey, and wants it before it links the device. A \
             passkey answers on WhatsApp's own site only, so this page cannot ask for it by itself. Use \
             a computer whose browser has the passkey, or can reach the phone that has it by Bluetooth."
        }
        ol {
            li {
                "Open " a href="https://web.whatsapp.com/" rel="noreferrer" target="_blank" {
                    "web.whatsapp.com"
                } " in another tab. Scan nothing there."
            }
            li {
                "Open the browser's console: F12, then “Console” (Safari: “Show JavaScript Console” \
                 in the Develop menu). A browser that has never been used for this wants “allow \
                 pasting” typed first."
            }
            li {
                "Paste these lines there and press Enter. They ask your passkey to answer WhatsApp's \
                 challenge, and send nothing anywhere."
                (code_block(&snippet(request)))
            }
            li { "Click anywhere into WhatsApp's page, and use the passkey as the browser asks." }
            li { "Copy the text that appears, and paste it here." }
        }
        form method="post" action=(path) {
            label for="assertion" { "The passkey's answer" }
            textarea #assertion name="assertion" rows="5" required spellcheck="false"
                autocomplete="off" {}
            button { "Send it to WhatsApp" }
        }
    }
}

fn wait_for_phone(path: &str) -> Markup {
    html! {
        p { "WhatsApp has taken the passkey. Continue on the phone until it shows a code." }
        p { a href=(path) { "The phone shows a code" } }
    }
}

fn compare(path: &str, code: &str) -> Markup {
    html! {
        p { "Compare this code with the one on the phone:" }
        p.code-to-compare { (code) }
        form method="post" action={ (path) "/confirm" } {
            button { "It is the same: link the device" }
        }
        p { "If it is another one, somebody else is trying to link a device: close this page." }
    }
}

fn linked() -> Markup {
    html! {
        main.columns.steps {
            h1 { "The device is linked" }
            p { "WhatsApp has taken the confirmation. This page may be closed." }
        }
    }
}

fn over(fault: Option<&str>) -> Markup {
    html! {
        main.columns.steps {
            h1 { "This page is over" }
            @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
            p {
                "WhatsApp waits ten minutes for a passkey. If the device is not linked yet, begin \
                 again with its QR or code, and open the new page."
            }
        }
    }
}

/// What to run on WhatsApp's site. A browser asks for a passkey only after a click.
fn snippet(request: &str) -> String {
    // Written anew: what WhatsApp sent cannot be anything but a value in it.
    let options: Value = serde_json::from_str(request).unwrap_or_default();
    format!(
        "document.addEventListener(\"click\", async () => {{\n  \
           const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON({options});\n  \
           const answer = await navigator.credentials.get({{ publicKey }});\n  \
           prompt(\"Copy all of this\", JSON.stringify(answer.toJSON()));\n\
         }}, {{ once: true, capture: true }});"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_hold_the_options_as_a_value() {
        let lines = snippet(r#"{"challenge":"AQ","rpId":"whatsapp.com"}"#);
        let options = r#"parseRequestOptionsFromJSON({"challenge":"AQ","rpId":"whatsapp.com"});"#;
        assert!(lines.contains(options), "{lines}");
        assert!(snippet("alert(1)").contains("parseRequestOptionsFromJSON(null);"));
    }
}
