//! One suite for every store: SQLite, PostgreSQL and memory.
//!
//! A case is an async function over a fresh, empty store. `store_conformance!` makes a test of each;
//! a test below refuses a case that is missing from its list.
#![expect(clippy::unwrap_used, reason = "it is a test")]

pub mod accept;
pub mod access;
pub mod accounts;
pub mod amend;
pub mod archive;
pub mod chats;
pub mod deliveries;
pub mod devices;
pub mod files;
pub mod find;
pub mod grants;
pub mod identities;
pub mod lists;
pub mod nodes;
pub mod pages;
pub mod parallel;
pub mod people;
pub mod record;
pub mod sessions;
pub mod usage;
pub mod webhooks;

use std::sync::Arc;

use domain::account::{Account, NewAccount};
use domain::chat::ChatId;
use domain::content::Content;
use domain::context::Context;
use domain::device::{Device, NewDevice};
use domain::ids::{DeviceId, MessageId, WhatsappId};
use domain::key::KeyHash;
use domain::message::{Message, MessageEvent, NewMessage};
use domain::plan::Plan;
use domain::policy::queue::QueueLimits;
use domain::policy::quota::Period;
use domain::ports::{
    Acceptance, Accepted, CreatedDevice, IdempotencyKey, NewKey, PageRequest, Progress, Recorded,
    Store,
};
use domain::webhook::{
    CreatedWebhook, Delivery, EventKind, FormatName, NewWebhook, SealNewSecret, SealedSecret,
    Webhook,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Makes a test of every case: `store_conformance!(with_store)`, where `with_store` takes a case
/// (an async function over `Arc<dyn Store>`), and runs it on a fresh store.
#[macro_export]
macro_rules! store_conformance {
    ($with_store:path) => {
        $crate::store_conformance!(@cases $with_store;
            accounts: an_account_is_found_as_created, an_email_address_is_unique,
                accounts_are_listed_newest_first, a_patch_changes_only_what_it_names,
                another_accounts_email_is_refused, plans_exist_and_can_be_replaced,
                a_key_finds_its_holder_until_deleted, a_key_has_its_rights, a_new_plan_shows_at_once,
                keys_are_listed_without_their_secrets, an_account_has_a_limit_of_keys, a_setting_is_created_once,
                a_store_answers_a_ping, a_deleted_account_leaves_nothing;
            devices: a_device_is_found_as_created, the_device_limit_holds,
                devices_are_listed_newest_first, settings_of_a_device_change,
                a_device_goes_through_its_states, what_waits_for_a_device_is_discarded, a_device_token_is_replaced,
                heartbeats_are_kept_for_a_day,
                a_deleted_device_refunds_waiting_messages, devices_are_tenant_separate,
                devices_are_found_by_phone_and_state, linked_devices_are_the_first_to_choose;
            accept: an_accepted_message_is_read_unchanged, ids_grow, a_batch_is_all_or_nothing,
                quota_is_spent_and_starts_again_each_day,
                a_request_from_before_midnight_counts_in_the_new_day, one_refusal_affects_no_other_request,
                the_queue_has_a_limit, waiting_bytes_have_limits, a_repeat_reads_few_bytes, a_missing_device_refuses_the_request,
                a_repeated_request_gives_the_same_messages, another_request_is_a_mismatch,
                a_key_belongs_to_its_account_and_route, a_token_does_not_meet_the_keys_of_other_devices,
                an_idempotency_key_expires_after_a_day,
                a_refusal_is_not_remembered, a_file_waits_with_its_message;
            record: an_acknowledged_message_moves_to_the_history,
                a_failed_attempt_waits_for_the_next, a_scheduled_message_becomes_due_first,
                a_withdrawn_message_keeps_its_schedule, unsent_messages_are_refunded,
                a_refund_stays_in_its_period, an_unended_attempt_is_queued_again,
                unknown_messages_are_skipped, several_messages_are_recorded_together,
                receipts_only_move_forward, receipts_leave_incoming_messages_alone,
                contacts_are_those_written_to, a_guessed_kind_is_corrected;
            find: a_message_is_found_by_either_id;
            lists: both_directions_are_listed_newest_first, a_list_has_pages,
                a_list_can_be_filtered, chats_times_and_schedules_are_filters,
                a_counted_list_has_a_total, sent_and_failed_are_counted, a_due_message_is_listed_as_queued,
                lists_are_tenant_separate, incoming_messages_are_stored_once,
                senders_may_share_an_id, an_unreadable_message_is_recovered_once, what_others_write_can_be_stored, an_own_message_from_elsewhere_counts_as_sent,
                the_outbox_is_loaded_whole, the_outbox_of_a_device_is_loaded_alone, old_rows_are_cleaned_up;
            identities: a_person_has_one_chat_once_both_names_are_known,
                a_message_that_came_under_both_names_is_stored_once,
                a_recycled_number_leaves_its_messages_with_its_former_owner,
                a_person_with_a_new_number_keeps_the_chat, a_number_with_two_spellings_has_one_chat,
                a_spelling_may_become_the_accounts_number, who_is_who_is_each_devices_own_knowledge,
                known_chats_are_contacts_but_no_first_ones, a_restriction_is_kept_and_emitted_once;
            chats: chats_are_found_by_name_number_and_what_is_unread,
                chats_are_listed_by_their_newest_message, a_persons_chat_keeps_its_unread_messages,
                a_reaction_is_not_unread,
                a_call_is_an_event, a_change_of_a_group_is_an_event_and_shows_in_its_chat,
                people_are_known_by_both_names, older_messages_stand_behind_all_others;
            amend: votes_are_counted_with_their_poll, a_vote_that_comes_before_its_poll_waits_for_it,
                a_place_that_moves_changes_its_row,
                an_edit_that_came_in_changes_its_message_once,
                whom_an_edit_mentions_its_message_mentions,
                an_edit_that_waits_for_its_message_keeps_whom_it_mentions, a_change_by_another_person_is_ignored,
                a_change_that_comes_before_its_message_waits_for_it,
                a_change_of_an_unreadable_message_shows_once_that_is_recovered, an_admin_deletes_in_the_own_group_only,
                an_edit_of_ours_counts_once_whatsapp_has_it;
            files: a_file_is_pending_from_the_commit_of_its_message, a_stored_file_is_due_no_more,
                a_file_that_failed_is_due_later, due_files_are_shared_among_accounts,
                the_setting_of_a_device_decides_what_is_fetched,
                old_files_and_those_beyond_the_limit_end,
                a_file_whose_message_lacks_what_fetches_it_has_failed,
                newer_files_take_the_place_of_those_stored_longest, files_go_with_their_devices_and_accounts;
            archive: old_messages_are_read_whole_and_deleted_by_their_ids;
            usage: messages_are_counted_by_hour;
            pages: a_page_ends_at_its_bytes, a_batch_is_counted_by_state, totals_equal_a_count_of_the_rows;
            sessions: an_entry_is_written_read_and_removed, many_entries_are_read_at_once,
                a_scan_finds_a_prefix, a_cleared_session_is_gone,
                sessions_of_devices_are_separate, the_last_write_counts,
                an_erased_device_keeps_nothing, changes_at_once_are_all_kept;
            grants: grants_are_charged_before_the_plan, a_batch_is_charged_completely_or_not_at_all,
                grants_stack_and_expire, a_refund_goes_to_the_charged_grant,
                a_voucher_is_redeemed_once, grants_are_deleted_with_their_owner;
            webhooks: a_webhook_is_found_as_created, webhooks_are_listed_newest_first,
                a_secret_is_sealed_with_the_others_of_its_format_at_hand,
                webhooks_of_one_device_are_listed_alone,
                a_webhook_changes, an_account_has_a_limit_of_webhooks,
                webhooks_are_tenant_separate, webhooks_are_deleted_with_their_owner;
            deliveries: an_event_goes_to_webhooks_that_want_it, only_events_of_the_plan_are_delivered,
                device_changes_emit_events, deliveries_follow_the_order_of_events,
                deleting_a_device_emits_events, own_messages_emit_no_events,
                a_delivery_ends_and_is_replayed,
                the_tries_of_a_delivery_are_kept_and_bounded, deliveries_since_a_time_are_replayed,
                deliveries_have_pages,
                a_page_of_deliveries_ends_at_its_bytes, an_event_outlives_all_but_its_last_delivery,
                old_deliveries_are_cleaned_up, a_webhook_to_which_a_delivery_has_failed_is_found, unknown_deliveries_are_skipped;
            people: a_person_is_found_as_made, a_second_factor_is_used_up_once, people_are_tenant_separate, an_account_has_a_limit_of_people,
                a_link_is_used_once_and_expires, a_session_is_begun_used_and_ended,
                a_password_is_set_by_its_holder_or_by_a_link, a_role_is_given_anew,
                invitations_go_with_the_person_who_made_them,
                a_link_stays_valid_while_nobody_has_joined, people_are_deleted_with_their_account,
                a_form_is_claimed_once_a_day;
            access: a_portal_link_is_found_until_it_ends, a_device_has_a_limit_of_portal_links,
                an_audit_log_is_read_by_account_and_as_a_whole, an_audit_log_is_bounded;
            nodes: a_node_is_registered_and_renewed, devices_without_a_live_owner_are_claimed_once,
                a_restarted_node_has_its_devices_back, a_node_sees_the_others_and_is_drained,
                a_new_device_belongs_to_the_node_that_makes_it, a_stale_owner_writes_nothing,
                a_webhook_belongs_to_one_node, a_stale_node_writes_no_outcomes_of_posts,
                new_messages_of_an_account_are_found,
                nodes_share_the_requests_of_a_minute;
            parallel: a_plan_goes_or_stays_with_its_accounts, a_voucher_is_redeemed_by_one, concurrent_changes_emit_ordered_events,
                the_last_message_of_a_quota_is_used_once, one_key_makes_one_message,
                the_device_limit_holds_in_parallel, parallel_outcomes_keep_counts_exact;
        );
    };
    (@cases $with_store:path; $($module:ident: $($case:ident),* $(,)?);* $(;)?) => {
        $(mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $with_store($crate::store_conformance::$module::$case).await;
                }
            )*
        })*
    };
}

/// A moment with parts of a millisecond, which no store keeps.
pub const NOW: Timestamp = Timestamp::constant(1_795_248_000, 123_456_789);
/// The day and month of [`NOW`].
pub const TODAY: Period = Period { day: 20_261_121, month: 202_611 };

/// [`NOW`] and some seconds.
pub fn later(seconds: i64) -> Timestamp {
    NOW.checked_add(SignedDuration::from_secs(seconds)).expect("a time in range")
}

/// A time as stores keep it.
pub fn stored(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).expect("a time in range")
}

/// The first page.
pub const ALL: PageRequest = PageRequest { before: None, limit: 1_000 };

/// A key whose hash begins with `n`.
pub fn key(n: u64) -> NewKey {
    NewKey { name: format!("key {n}"), hash: hash(n), last_four: format!("{n:04}") }
}

/// The hash of [`key`].
pub fn hash(n: u64) -> KeyHash {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    KeyHash(bytes)
}

/// A plan without limits but those given.
pub fn plan(day: Option<i64>, month: Option<i64>) -> Plan {
    let mut plan = Plan::built_in().pop().expect("there are plans");
    plan.messages_per_day = day;
    plan.messages_per_month = month;
    plan
}

/// An account with a device, on a store.
pub struct World {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its account; its key is `key(n)`.
    pub account: Account,
    /// The account's device; its token is `key(n + 1)`.
    pub device: Device,
}

impl World {
    /// The first account of a store, with keys 10 and 11.
    pub async fn new(store: Arc<dyn Store>) -> Self {
        Self::with(store, 10).await
    }

    /// A further account; `n` distinguishes accounts.
    pub async fn with(store: Arc<dyn Store>, n: u64) -> Self {
        let account = new_account(&format!("owner{n}@example.com"));
        let account = store.create_account(account, key(n), NOW).await.unwrap().unwrap();
        let device = new_device(&store, &account, n + 1).await;
        Self { store, account, device }
    }

    /// A text message that is accepted.
    pub fn text(&self, n: u64) -> NewMessage {
        NewMessage {
            device_id: self.device.id,
            chat: ChatId::from(format!("62812{n:07}@s.whatsapp.net")),
            context: Context::default(),
            content: Content::Text(format!("message {n} 👋🏽 'quoted' \\ \"too\"\n").into()),
            inline_file: None,
            whatsapp_id: WhatsappId::from_random(n.to_be_bytes()),
            typing: true,
            priority: 0,
            due_at: NOW,
            is_scheduled: false,
            expires_at: later(86_400),
            retry_interval_s: None,
        }
    }

    /// A request for messages, on a plan without limits.
    pub fn request(&self, messages: Vec<NewMessage>) -> Acceptance {
        Acceptance {
            account_id: self.account.id,
            plan: plan(None, None).into(),
            period: TODAY,
            limits: QueueLimits::default(),
            messages,
            idempotency: None,
            now: NOW,
        }
    }

    /// Accepts one text message.
    pub async fn send(&self, n: u64) -> Message {
        self.accept(self.text(n)).await
    }

    /// Accepts one message.
    pub async fn accept(&self, message: NewMessage) -> Message {
        new_messages(self.store.accept(self.request(vec![message])).await.unwrap()).remove(0)
    }

    /// Creates a webhook that wants `events` of `device`, or of all devices.
    pub async fn webhook(&self, device: Option<DeviceId>, events: &[EventKind]) -> Webhook {
        let webhook = NewWebhook {
            account_id: self.account.id,
            device_id: device,
            url: "https://example.com/hook?a=b#c".into(),
            format: FormatName("gerbang".into()),
            events: events.to_vec(),
        };
        let secret = own_secret(vec![0, 1, 255]);
        created(self.store.create_webhook(webhook, secret, NOW).await.unwrap()).unwrap()
    }

    /// The pending deliveries of a webhook, by id.
    pub async fn pending(&self, webhook: &Webhook) -> Vec<Delivery> {
        self.store.pending_deliveries(webhook.id, &[], 10_000).await.unwrap().items
    }

    /// Records steps of one message.
    pub async fn record(&self, id: MessageId, steps: &[MessageEvent]) -> Vec<Message> {
        messages_of(self.store.record(vec![progress(id, steps)]).await.unwrap())
    }

    /// Accepts a message and has WhatsApp acknowledge it.
    pub async fn sent(&self, n: u64) -> Message {
        let id = self.send(n).await.id;
        self.record(id, &[MessageEvent::Submitted, MessageEvent::Acknowledged]).await.remove(0)
    }
}

/// Gives a new webhook a secret of its own.
pub fn own_secret(sealed: Vec<u8>) -> SealNewSecret {
    Arc::new(move |_, _| Some(SealedSecret(sealed.clone())))
}

/// The webhook that was made; `None` at the limit.
pub fn created(outcome: CreatedWebhook) -> Option<Webhook> {
    match outcome {
        CreatedWebhook::Created(webhook) => Some(webhook),
        CreatedWebhook::LimitReached => None,
        CreatedWebhook::SecretUnreadable => panic!("there is a secret"),
    }
}

/// An account to create, on the plan `unlimited`.
pub fn new_account(email: &str) -> NewAccount {
    NewAccount {
        name: "Warung Bu Sri ☕".into(),
        email: email.into(),
        plan: "unlimited".into(),
        default_country: "62".into(),
        timezone: "Asia/Jakarta".into(),
    }
}

/// Deletes what is older than `since`, messages and everything else; how many rows there were.
pub async fn clean_up(store: &Arc<dyn Store>, now: Timestamp, since: Timestamp) -> u64 {
    let rows = store.clean_up(now, since).await.unwrap();
    rows + store.delete_old_messages(since).await.unwrap()
}

/// Creates a device with the token `key(token)`.
pub async fn new_device(store: &Arc<dyn Store>, account: &Account, token: u64) -> Device {
    let id = DeviceId(Uuid::from_u128(u128::from(token) << 64 | u128::from(token)));
    let device = NewDevice { id, account_id: account.id, name: format!("device {token}") };
    match store.create_device(device, key(token), None, NOW).await.unwrap() {
        CreatedDevice::Created(device) => device,
        CreatedDevice::LimitReached => panic!("there is no limit"),
    }
}

/// What happened to a message, ten seconds after [`NOW`].
pub fn progress(id: MessageId, steps: &[MessageEvent]) -> Progress {
    let steps = steps.iter().map(|event| (*event, later(10))).collect();
    Progress { id, steps, failure: None, next_attempt_at: None, file: None }
}

/// An idempotency key for a request that hashes to `request`.
pub fn idempotency(key: &str, request: u8) -> IdempotencyKey {
    let route = "POST /v1/messages".into();
    IdempotencyKey { route, key: key.into(), request_hash: [request; 32], token_of: None }
}

/// The messages alone.
pub fn messages_of(recorded: Vec<Recorded>) -> Vec<Message> {
    recorded.into_iter().map(|recorded| recorded.message).collect()
}

/// The messages of a request.
///
/// # Panics
/// When it was not accepted.
pub fn new_messages(accepted: Accepted) -> Vec<Message> {
    match accepted {
        Accepted::New(messages) => messages,
        other => panic!("not accepted: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_case_is_in_the_list() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let suite = std::fs::read_to_string(source.join("store_conformance.rs")).unwrap();
        let (_, list) = suite.split_once("(@cases $with_store;").unwrap();
        let (list, _) = list.split_once(");").unwrap();
        let listed: Vec<&str> = list.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let mut cases = 0;
        for file in std::fs::read_dir(source.join("store_conformance")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let names = text.lines().filter_map(|line| {
                let (name, arguments) = line.strip_prefix("pub async fn ")?.split_once('(')?;
                arguments.starts_with("store: Arc<dyn Store>)").then_some(name)
            });
            for name in names {
                assert!(listed.contains(&name), "{name} is not in the list of cases");
                cases += 1;
            }
        }
        assert!(cases > 50, "only {cases} cases were found");
    }
}
