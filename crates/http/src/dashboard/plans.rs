//! `/app/plans`: what accounts may do. For the operator.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use domain::error::Error;
use domain::plan::{DEFAULT_PLAN, Feature, Plan};
use maud::{Markup, html};
use serde::Deserialize;

use super::accounts::operator;
use super::caller::{Asked, Nothing, Person, Posted};
use super::failure::{Failure, PageResult, redirect};
use super::layout::{self, Head, Place};
use super::show::{Confirm, Fault, with};
use super::table::{self, Column};
use super::words::words;
use crate::state::AppState;

words! {
    /// The texts of plans.
    PlanWords
    title: "Plans", "Paket";
    help: "What accounts of a plan may do. An empty limit is none.", "Yang boleh dilakukan akun dengan paket ini. Batas kosong berarti tanpa batas.";
    devices: "Devices", "Perangkat";
    per_day: "Messages a day", "Pesan per hari";
    per_month: "Messages a month", "Pesan per bulan";
    per_minute: "Requests a minute", "Permintaan per menit";
    features: "Features", "Fitur";
    change: "Change", "Ubah";
    edit: "Add or change a plan", "Tambah atau ubah paket";
    edit_help: "A plan of the same name is replaced, for all its accounts, at once.", "Paket dengan nama sama diganti, langsung untuk semua akunnya.";
    groups: "groups", "grup";
    broadcast: "to many at once", "ke banyak sekaligus";
    schedule: "scheduled messages", "pesan terjadwal";
    send_image: "pictures", "gambar";
    send_document: "other files", "berkas lain";
    send_group_media: "files to groups", "berkas ke grup";
    incoming_webhook: "webhooks for what comes in", "webhook pesan masuk";
    advance_webhook: "webhooks for everything else", "webhook kejadian lain";
    downtime_notification: "notice of lost connections", "pemberitahuan koneksi terputus";
    used: "Accounts that have this plan: {}. The change counts for all of them at once.", "{} akun memakai paket ini. Perubahannya langsung berlaku untuk semuanya.";
    change_for_all: "Change it for all", "Ubah untuk semua";
    delete_title: "Delete the plan {}?", "Hapus paket {}?";
    delete_warning: "No account has it. After this none can be given it.", "Tidak ada akun yang memakainya. Setelah ini paket tidak dapat diberikan lagi.";
    is_default: "Accounts that are made without a plan get this one: it stays. Its limits can be changed.", "Akun yang dibuat tanpa paket mendapat paket ini, jadi paket ini tetap ada. Batasnya dapat diubah.";
    in_use: "Accounts that have this plan: {}. It can be deleted once they have another one.", "{} akun memakai paket ini. Paket dapat dihapus setelah akun itu mendapat paket lain.";
    number_wrong: "Limits are whole numbers, or empty.", "Batas berupa bilangan bulat, atau kosong.";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/plans", get(list).post(put))
        .route("/app/plans/{name}/delete", get(ask_delete).post(delete))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlansQuery {
    edit: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PlanForm {
    name: String,
    /// The plan whose accounts were counted when this form was shown.
    sure: String,
    device_limit: String,
    messages_per_day: String,
    messages_per_month: String,
    requests_per_minute: String,
    groups: String,
    broadcast: String,
    schedule: String,
    send_image: String,
    send_document: String,
    send_group_media: String,
    incoming_webhook: String,
    advance_webhook: String,
    downtime_notification: String,
}

/// What a feature is called.
fn feature_word(own: &PlanWords, feature: Feature) -> &'static str {
    match feature {
        Feature::Groups => own.groups,
        Feature::Broadcast => own.broadcast,
        Feature::Schedule => own.schedule,
        Feature::SendImage => own.send_image,
        Feature::SendDocument => own.send_document,
        Feature::SendGroupMedia => own.send_group_media,
        Feature::IncomingWebhook => own.incoming_webhook,
        Feature::AdvanceWebhook => own.advance_webhook,
        Feature::DowntimeNotification => own.downtime_notification,
    }
}

impl PlanForm {
    fn of(plan: &Plan) -> Self {
        let number = |limit: Option<i64>| limit.map_or(String::new(), |limit| limit.to_string());
        let mut form = Self {
            name: plan.name.clone(),
            device_limit: number(plan.device_limit),
            messages_per_day: number(plan.messages_per_day),
            messages_per_month: number(plan.messages_per_month),
            requests_per_minute: number(plan.requests_per_minute),
            ..Self::default()
        };
        for feature in &plan.features {
            form.flag_mut(*feature).push('1');
        }
        form
    }

    fn flag_mut(&mut self, feature: Feature) -> &mut String {
        match feature {
            Feature::Groups => &mut self.groups,
            Feature::Broadcast => &mut self.broadcast,
            Feature::Schedule => &mut self.schedule,
            Feature::SendImage => &mut self.send_image,
            Feature::SendDocument => &mut self.send_document,
            Feature::SendGroupMedia => &mut self.send_group_media,
            Feature::IncomingWebhook => &mut self.incoming_webhook,
            Feature::AdvanceWebhook => &mut self.advance_webhook,
            Feature::DowntimeNotification => &mut self.downtime_notification,
        }
    }

    /// The plan, or which of its limits is no number.
    fn plan(&mut self) -> Result<Plan, &'static str> {
        let limit = |field: &'static str, text: &str| match text.trim() {
            "" => Ok(None),
            text => text.parse::<i64>().map(Some).map_err(|_| field),
        };
        let features =
            Feature::ALL.into_iter().filter(|feature| !self.flag_mut(*feature).is_empty());
        let features = features.collect();
        Ok(Plan {
            name: self.name.trim().to_owned(),
            device_limit: limit("device_limit", &self.device_limit)?,
            messages_per_day: limit("messages_per_day", &self.messages_per_day)?,
            messages_per_month: limit("messages_per_month", &self.messages_per_month)?,
            requests_per_minute: limit("requests_per_minute", &self.requests_per_minute)?,
            features,
        })
    }
}

async fn list(
    State(state): State<AppState>,
    person: Person,
    Asked(query): Asked<PlansQuery>,
) -> PageResult {
    let plans = state.core().plans(&operator(&person)?).await?;
    let edited = plans.iter().find(|plan| plan.name == query.edit);
    let mut form = edited.map(PlanForm::of).unwrap_or_default();
    page(&state, &person, &mut form, (None, None)).await
}

async fn page(
    state: &AppState,
    person: &Person,
    form: &mut PlanForm,
    (users, fault): (Option<i64>, Option<&Fault>),
) -> Result<Response, Failure> {
    let own = PlanWords::of(person.lang);
    let plans = state.core().plans(&operator(person)?).await?;
    let body = html! {
        h1 { (own.title) }
        p.quiet { (own.help) }
        (table(person, own, &plans))
        (edit_form(person, own, form, (users, fault)))
    };
    let (status, head) = (Fault::status(fault), Head::default());
    Ok(layout::page_with(status, person, Place::Plans, own.title, &head, &body))
}

fn table(person: &Person, own: &PlanWords, plans: &[Plan]) -> Markup {
    let words = person.words();
    let columns = [
        Column::Clear(words.name),
        Column::Named(own.devices),
        Column::Named(own.per_day),
        Column::Named(own.per_month),
        Column::Named(own.per_minute),
        Column::Text(own.features),
        Column::Acts(own.change),
    ];
    let limit = |limit: Option<i64>| html! { @match limit { Some(n) => (n), None => "–" } };
    let row = |plan: &Plan| {
        let features: Vec<_> =
            plan.features.iter().map(|feature| feature_word(own, *feature)).collect();
        [
            html! { (plan.name) },
            limit(plan.device_limit),
            limit(plan.messages_per_day),
            limit(plan.messages_per_month),
            limit(plan.requests_per_minute),
            html! { (features.join(", ")) },
            html! {
                a.button.plain href={ "?edit=" (plan.name) "#edit" }
                    aria-label={ (own.change) " " (plan.name) } { (own.change) }
                @if plan.name != DEFAULT_PLAN {
                    " "
                    a.button.plain.danger-text href=(delete_path(plan))
                        aria-label={ (words.delete) " " (plan.name) } { (words.delete) }
                }
            },
        ]
    };
    table::table(own.title, &columns, plans.iter().map(row))
}

fn edit_form(
    person: &Person,
    own: &PlanWords,
    form: &mut PlanForm,
    (users, fault): (Option<i64>, Option<&Fault>),
) -> Markup {
    let words = person.words();
    let flags = Feature::ALL.map(|feature| (feature, !form.flag_mut(feature).is_empty()));
    let limits = [
        ("device_limit", own.devices, &form.device_limit),
        ("messages_per_day", own.per_day, &form.messages_per_day),
        ("messages_per_month", own.per_month, &form.messages_per_month),
        ("requests_per_minute", own.per_minute, &form.requests_per_minute),
    ];
    html! {
        section.card #edit {
            h2 { (own.edit) }
            p.quiet { (own.edit_help) }
            (Fault::above(fault, &["name", "device_limit", "messages_per_day", "messages_per_month", "requests_per_minute"]))
            @if let Some(users) = users { p.fault role="alert" { (with(own.used, users)) } }
            form.stack method="post" action="/app/plans" {
                (person.csrf())
                label for="name" { (words.name) }
                input #name name="name" required maxlength="40" pattern="[a-z0-9_\\-]+" value=(form.name)
                    aria-describedby="name-fault";
                (Fault::beside(fault, "name"))
                div.grid { @for (name, label, value) in limits {
                    div.field {
                        label for=(name) { (label) }
                        input id=(name) name=(name) type="number" min="0" value=(value)
                            aria-describedby={ (name) "-fault" };
                        (Fault::beside(fault, name))
                    }
                } }
                fieldset {
                    legend { (own.features) }
                    @for (feature, is_chosen) in flags {
                        label.check {
                            input type="checkbox" name=(feature.as_str()) value="1" checked[is_chosen];
                            (feature_word(own, feature))
                        }
                    }
                }
                @if users.is_some() { input type="hidden" name="sure" value=(form.name.trim()); }
                button { @if users.is_some() { (own.change_for_all) } @else { (words.save) } }
            }
        }
    }
}

fn delete_path(plan: &Plan) -> String {
    format!("/app/plans/{}/delete", plan.name)
}

/// A plan that accounts have stays, and the one of accounts that are made without naming one.
async fn ask_delete(
    State(state): State<AppState>,
    person: Person,
    Path(name): Path<String>,
) -> PageResult {
    let (own, operator) = (PlanWords::of(person.lang), operator(&person)?);
    let plans = state.core().plans(&operator).await?;
    let plan = plans.iter().find(|plan| plan.name == name).ok_or(Error::NotFound("plan"))?;
    let users = state.core().accounts_of_plan(&operator, &plan.name).await?;
    let title = with(own.delete_title, &plan.name);
    let kept = match users {
        _ if plan.name == DEFAULT_PLAN => Some(own.is_default.to_owned()),
        0 => None,
        users => Some(with(own.in_use, users)),
    };
    let body = if let Some(why) = kept {
        html! {
            h1 { (title) }
            p.warning { (why) }
            p { a.button.plain href="/app/plans" { (person.words().keep) } }
        }
    } else {
        let confirm = Confirm {
            title: &title,
            what: html! { p { (own.delete_warning) } },
            action: &delete_path(plan),
            button: person.words().delete,
            back: "/app/plans",
        };
        confirm.render(&person)
    };
    Ok(layout::page(&person, Place::Plans, &title, &body))
}

async fn delete(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    state.core().delete_plan(&operator(&person)?, &name).await?;
    Ok(redirect("/app/plans"))
}

async fn put(
    State(state): State<AppState>,
    Posted { person, mut form }: Posted<PlanForm>,
) -> PageResult {
    let own = PlanWords::of(person.lang);
    let operator = operator(&person)?;
    let plan = match form.plan() {
        Ok(plan) => plan,
        Err(field) => {
            let fault = Fault::of(field, own.number_wrong.to_owned());
            return page(&state, &person, &mut form, (None, Some(&fault))).await;
        }
    };
    let users = state.core().accounts_of_plan(&operator, &plan.name).await?;
    if users > 0 && form.sure != plan.name {
        return page(&state, &person, &mut form, (Some(users), None)).await;
    }
    match state.core().put_plan(&operator, plan).await {
        Ok(_) => Ok(redirect("/app/plans")),
        Err(error) => {
            let fault = Failure::from(error).into_fault(person.lang)?;
            page(&state, &person, &mut form, (None, Some(&fault))).await
        }
    }
}
