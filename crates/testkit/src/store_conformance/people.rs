//! People of the dashboard, their sessions and links.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::ids::{AccountId, NodeId, UserId};
use domain::person::{INVITATIONS_MAX, Link, Place, Role, USERS_MAX, User};
use domain::ports::{
    CreatedUser, FactorProof, FormClaim, FormHash, NewLink, NewSession, NewUser, SecondFactor,
    Store,
};
use domain::webhook::SealedSecret;

use super::{NOW, World, hash, later, stored};

async fn made(store: &Arc<dyn Store>, email: &str, place: Place) -> User {
    let user = NewUser { email: email.into(), password: format!("hash of {email}"), place };
    match store.create_user(user, NOW).await.unwrap() {
        CreatedUser::Created(user) => user,
        other => panic!("{other:?}"),
    }
}

fn owner(account: AccountId) -> Place {
    Place::Account(account, Role::Owner)
}

pub async fn a_person_is_found_as_made(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let operator = made(&store, "op@example.com", Place::Operator).await;
    assert_eq!((operator.place, operator.created_at), (Place::Operator, stored(NOW)));
    for role in Role::ALL {
        let email = format!("{}@example.com", role.as_str());
        let user = made(&store, &email, Place::Account(world.account.id, role)).await;
        let found = store.user_by_email(&email).await.unwrap().unwrap();
        assert_eq!(found, (user, format!("hash of {email}")));
    }
    assert_eq!(store.user_by_email("none@example.com").await.unwrap(), None);
    let again =
        NewUser { email: operator.email, password: String::new(), place: owner(world.account.id) };
    let again = store.create_user(again, NOW).await.unwrap();
    assert_eq!(again, CreatedUser::EmailTaken);
}

pub async fn a_second_factor_is_used_up_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let user = made(&store, "a@example.com", owner(world.account.id)).await.id;
    let other = made(&store, "b@example.com", owner(world.account.id)).await.id;
    let (first, second) = (hash(901), hash(902));
    let factor = SecondFactor {
        secret: SealedSecret(vec![0, 159, 146, 150]),
        last_step: 100,
        recovery: vec![first, second],
    };
    assert_eq!(store.second_factor(user).await.unwrap(), None);
    assert!(!store.set_second_factor(UserId(4_711), factor.clone()).await.unwrap());
    assert!(store.set_second_factor(user, factor.clone()).await.unwrap());
    assert!(!store.set_second_factor(user, factor.clone()).await.unwrap(), "there is one");
    assert_eq!(store.second_factor(user).await.unwrap(), Some(factor.clone()));
    for (of, proof, counts) in [
        (user, FactorProof::Step(100), false),
        (user, FactorProof::Step(101), true),
        (user, FactorProof::Step(101), false),
        (user, FactorProof::Step(99), false),
        (other, FactorProof::Step(200), false),
        (other, FactorProof::Recovery(first), false),
        (user, FactorProof::Recovery(first), true),
        (user, FactorProof::Recovery(first), false),
        (user, FactorProof::Recovery(hash(903)), false),
    ] {
        assert_eq!(store.use_second_factor(of, proof).await.unwrap(), counts, "{of} {proof:?}");
    }
    let left = SecondFactor { last_step: 101, recovery: vec![second], ..factor.clone() };
    assert_eq!(store.second_factor(user).await.unwrap(), Some(left));
    assert!(store.delete_second_factor(user).await.unwrap());
    assert!(!store.delete_second_factor(user).await.unwrap());
    assert!(store.set_second_factor(user, factor).await.unwrap());
    assert!(store.delete_user(Some(world.account.id), user).await.unwrap());
    assert_eq!(store.second_factor(user).await.unwrap(), None);
}

pub async fn people_are_tenant_separate(store: Arc<dyn Store>) {
    let world = World::with(Arc::clone(&store), 10).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let (ours, theirs) = (Some(world.account.id), Some(other.account.id));
    let operator = made(&store, "op@example.com", Place::Operator).await;
    let a = made(&store, "a@example.com", owner(world.account.id)).await;
    let b = made(&store, "b@example.com", owner(world.account.id)).await;
    let c = made(&store, "c@example.com", owner(other.account.id)).await;
    assert_eq!(store.users(ours).await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(store.users(None).await.unwrap(), std::slice::from_ref(&operator));
    for (account, id) in [(theirs, a.id), (None, a.id), (ours, operator.id), (ours, c.id)] {
        assert!(!store.delete_user(account, id).await.unwrap());
    }
    assert!(store.delete_user(ours, a.id).await.unwrap());
    assert!(store.delete_user(None, operator.id).await.unwrap());
    assert_eq!(store.users(ours).await.unwrap(), [b]);
    assert_eq!(store.users(theirs).await.unwrap(), [c]);
}

pub async fn an_account_has_a_limit_of_people(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let new = |n: i64, place| NewUser {
        email: format!("{n}@example.com"),
        password: String::new(),
        place,
    };
    for n in 0..USERS_MAX {
        made(&store, &format!("{n}@example.com"), owner(world.account.id)).await;
    }
    let beyond = store.create_user(new(USERS_MAX, owner(world.account.id)), NOW).await.unwrap();
    assert_eq!(beyond, CreatedUser::LimitReached);
    let nowhere = owner(AccountId(world.account.id.0 + 1_000));
    let nowhere = store.create_user(new(USERS_MAX, nowhere), NOW).await.unwrap();
    assert_eq!(nowhere, CreatedUser::LimitReached);
    made(&store, "op@example.com", Place::Operator).await;
}

pub async fn a_link_is_used_once_and_expires(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let user = made(&store, "a@example.com", owner(world.account.id)).await;
    let member = Place::Account(world.account.id, Role::Member);
    let links = [Link::Join(Place::Operator), Link::Join(member), Link::SignIn(user.id)];
    for (n, link) in (1..).zip(links) {
        let new = NewLink { hash: hash(n), link, made_by: None, expires_at: later(60) };
        store.create_link(new, NOW).await.unwrap();
        assert_eq!(store.link(hash(n), later(59)).await.unwrap(), Some(link));
        assert_eq!(store.link(hash(n), later(60)).await.unwrap(), None);
        assert_eq!(store.take_link(hash(n), later(60)).await.unwrap(), None);
    }
    for (n, link) in (1..).zip(links) {
        assert_eq!(store.take_link(hash(n), later(59)).await.unwrap(), Some(link));
        assert_eq!(store.take_link(hash(n), later(59)).await.unwrap(), None);
        assert_eq!(store.link(hash(n), later(59)).await.unwrap(), None);
    }
}

pub async fn a_link_stays_valid_while_nobody_has_joined(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let user = made(&store, "a@example.com", owner(world.account.id)).await;
    let member = Place::Account(world.account.id, Role::Member);
    for (n, link) in [(1, Link::Join(member)), (2, Link::SignIn(user.id))] {
        let new = NewLink { hash: hash(n), link, made_by: None, expires_at: later(60) };
        store.create_link(new, NOW).await.unwrap();
    }
    let join = async |n, email: &str, at| store.join(hash(n), email, "x", at).await.unwrap();
    assert_eq!(join(1, "a@example.com", NOW).await, Some(CreatedUser::EmailTaken));
    assert_eq!(join(1, "b@example.com", later(60)).await, None);
    assert_eq!(join(2, "b@example.com", NOW).await, None);
    let Some(CreatedUser::Created(made)) = join(1, "b@example.com", NOW).await else { panic!() };
    assert_eq!((made.email.as_str(), made.place), ("b@example.com", member));
    assert_eq!(store.user_by_email("b@example.com").await.unwrap(), Some((made, "x".into())));
    assert_eq!(join(1, "c@example.com", NOW).await, None);
}

pub async fn invitations_go_with_the_person_who_made_them(store: Arc<dyn Store>) {
    let world = World::with(Arc::clone(&store), 10).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let (ours, theirs) = (Some(world.account.id), Some(other.account.id));
    let gone = made(&store, "gone@example.com", owner(world.account.id)).await;
    let stays = made(&store, "stays@example.com", owner(world.account.id)).await;
    let operator = made(&store, "op@example.com", Place::Operator).await;
    let invite = async |n, place, made_by: Option<&User>, minutes| {
        let (link, made_by) = (Link::Join(place), made_by.map(|user| user.id));
        let new = NewLink { hash: hash(n), link, made_by, expires_at: later(minutes) };
        store.create_link(new, NOW).await.unwrap()
    };
    let member = Place::Account(world.account.id, Role::Member);
    assert!(invite(1, owner(world.account.id), Some(&gone), 60).await);
    assert!(invite(2, member, Some(&stays), 70).await);
    assert!(invite(3, member, None, 50).await);
    assert!(invite(4, owner(other.account.id), Some(&operator), 60).await);
    assert!(invite(5, Place::Operator, None, 60).await);
    assert!(invite(6, Place::Operator, Some(&operator), 80).await);
    let sign_in = NewLink {
        hash: hash(7),
        link: Link::SignIn(operator.id),
        made_by: None,
        expires_at: later(60),
    };
    store.create_link(sign_in, NOW).await.unwrap();
    let open = async |account, minutes| {
        let open = store.invitations(account, later(minutes)).await.unwrap();
        open.into_iter().map(|link| (link.hash, link.made_by)).collect::<Vec<_>>()
    };
    let by = |email: &str| Some(format!("{email}@example.com"));
    assert_eq!(
        open(ours, 0).await,
        [(hash(2), by("stays")), (hash(1), by("gone")), (hash(3), None)]
    );
    assert_eq!(open(ours, 60).await, [(hash(2), by("stays"))]);
    assert_eq!(open(theirs, 0).await, [(hash(4), by("op"))]);
    assert_eq!(open(None, 0).await, [(hash(6), by("op")), (hash(5), None)]);
    let found = store.invitations(ours, NOW).await.unwrap().remove(0);
    assert_eq!((found.place, found.expires_at), (member, stored(later(70))));

    assert!(store.delete_user(ours, gone.id).await.unwrap());
    assert_eq!(open(ours, 0).await, [(hash(2), by("stays"))], "3 may have been theirs");
    assert_eq!(store.link(hash(1), NOW).await.unwrap(), None);
    assert!(!invite(8, member, Some(&gone), 60).await, "made while being removed");
    assert_eq!(store.link(hash(8), NOW).await.unwrap(), None);
    for (account, n) in [(theirs, 2), (None, 2), (ours, 7), (None, 7), (ours, 99)] {
        assert_eq!(store.delete_invitation(account, hash(n)).await.unwrap(), None);
    }
    let withdrawn = store.delete_invitation(ours, hash(2)).await.unwrap();
    assert_eq!(withdrawn, Some(Link::Join(member)));
    assert_eq!(store.delete_invitation(ours, hash(2)).await.unwrap(), None);
    assert_eq!(open(ours, 0).await, []);
    assert!(store.delete_user(None, operator.id).await.unwrap());
    assert_eq!((open(theirs, 0).await, open(None, 0).await), (vec![], vec![(hash(5), None)]));
    for n in 100..102 + u64::try_from(INVITATIONS_MAX).unwrap() {
        assert!(invite(n, member, None, 60).await);
    }
    assert_eq!(open(ours, 0).await.len(), INVITATIONS_MAX);
}

pub async fn a_password_is_set_by_its_holder_or_by_a_link(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let user = made(&store, "a@example.com", owner(world.account.id)).await;
    let other = made(&store, "b@example.com", owner(world.account.id)).await;
    for (n, user) in [(1, user.id), (2, user.id), (3, other.id)] {
        let session = NewSession { hash: hash(n), user, entered: None };
        store.create_session(session, NOW).await.unwrap();
    }
    let link = |n| NewLink {
        hash: hash(n),
        link: Link::Reset(user.id),
        made_by: Some(other.id),
        expires_at: later(60),
    };
    let password = async || store.user_by_email("a@example.com").await.unwrap().unwrap().1;
    assert!(store.create_link(link(8), NOW).await.unwrap());
    assert!(store.set_password(user.id, "new", Some(hash(2))).await.unwrap());
    assert_eq!(password().await, "new");
    assert_eq!(store.session(hash(1)).await.unwrap(), None);
    assert_eq!(store.link(hash(8), NOW).await.unwrap(), None, "links to reset it end");
    for n in [2, 3] {
        assert!(store.session(hash(n)).await.unwrap().is_some(), "{n}");
    }
    assert!(!store.set_password(UserId(i64::MAX), "x", None).await.unwrap());

    assert!(store.create_link(link(9), NOW).await.unwrap());
    assert_eq!(store.link(hash(9), NOW).await.unwrap(), Some(Link::Reset(user.id)));
    assert!(store.invitations(Some(world.account.id), NOW).await.unwrap().is_empty());
    assert_eq!(store.reset_password(hash(9), "late", later(60)).await.unwrap(), None);
    assert_eq!(store.reset_password(hash(7), "x", NOW).await.unwrap(), None);
    let reset = store.reset_password(hash(9), "reset", NOW).await.unwrap();
    assert_eq!((reset, password().await), (Some(user.clone()), "reset".to_owned()));
    assert_eq!(store.reset_password(hash(9), "again", NOW).await.unwrap(), None);
    assert_eq!(store.session(hash(2)).await.unwrap(), None);
    assert!(store.session(hash(3)).await.unwrap().is_some());
}

pub async fn a_role_is_given_anew(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let account = world.account.id;
    let user = made(&store, "a@example.com", owner(account)).await;
    let operator = made(&store, "op@example.com", Place::Operator).await;
    let link = Link::Join(owner(account));
    let link = NewLink { hash: hash(1), link, made_by: Some(user.id), expires_at: later(60) };
    assert!(store.create_link(link, NOW).await.unwrap());
    let other = World::with(Arc::clone(&store), 20).await.account.id;
    assert!(!store.set_role(other, user.id, Role::Viewer).await.unwrap());
    assert!(!store.set_role(account, operator.id, Role::Viewer).await.unwrap());
    assert!(store.invitations(Some(account), NOW).await.unwrap().len() == 1);
    assert!(store.set_role(account, user.id, Role::Viewer).await.unwrap());
    let (found, _) = store.user_by_email("a@example.com").await.unwrap().unwrap();
    assert_eq!(found.place, Place::Account(account, Role::Viewer));
    assert!(store.invitations(Some(account), NOW).await.unwrap().is_empty());
}

pub async fn a_session_is_begun_used_and_ended(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let user = made(&store, "op@example.com", Place::Operator).await;
    let new = |n: u64, user: UserId| NewSession { hash: hash(n), user, entered: None };
    store.create_session(new(1, user.id), NOW).await.unwrap();
    store.create_session(new(2, UserId(user.id.0 + 9)), NOW).await.unwrap();
    assert_eq!(store.session(hash(2)).await.unwrap(), None);
    let session = store.session(hash(1)).await.unwrap().unwrap();
    assert_eq!((session.entered, session.created_at), (None, stored(NOW)));
    assert_eq!((session.user, session.seen_at), (user.clone(), stored(NOW)));
    store.touch_session(hash(1), later(60)).await.unwrap();
    store.enter_account(hash(1), Some(world.account.id)).await.unwrap();
    let session = store.session(hash(1)).await.unwrap().unwrap();
    assert_eq!(session.seen_at, stored(later(60)));
    assert_eq!((session.entered, session.created_at), (Some(world.account.id), stored(NOW)));
    store.delete_session(hash(1)).await.unwrap();
    assert_eq!(store.session(hash(1)).await.unwrap(), None);
    store.create_session(new(3, user.id), NOW).await.unwrap();
    store.delete_user(None, user.id).await.unwrap();
    assert_eq!(store.session(hash(3)).await.unwrap(), None);
}

pub async fn people_are_deleted_with_their_account(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let user = made(&store, "a@example.com", owner(world.account.id)).await;
    let session = NewSession { hash: hash(1), user: user.id, entered: None };
    store.create_session(session, NOW).await.unwrap();
    for (n, link) in [(1, Link::SignIn(user.id)), (2, Link::Join(user.place))] {
        let new = NewLink { hash: hash(n), link, made_by: None, expires_at: later(60) };
        store.create_link(new, NOW).await.unwrap();
    }
    assert!(store.delete_account(world.account.id).await.unwrap());
    assert_eq!(store.user_by_email("a@example.com").await.unwrap(), None);
    assert_eq!(store.session(hash(1)).await.unwrap(), None);
    assert_eq!(store.link(hash(1), NOW).await.unwrap(), None);
    assert_eq!(store.link(hash(2), NOW).await.unwrap(), None);
}

pub async fn a_form_is_claimed_once_a_day(store: Arc<dyn Store>) {
    let (first, other) = (FormHash([1; 32]), FormHash([2; 32]));
    let node = Some(NodeId(7));
    let claim = async |form, node, at| store.claim_form(form, node, at).await.unwrap();
    let at_once = futures_util::future::join_all((0..8).map(|_| claim(first, node, NOW))).await;
    let firsts = at_once.iter().filter(|claim| **claim == FormClaim::First).count();
    assert_eq!(firsts, 1, "{at_once:?}");
    assert_eq!(claim(first, Some(NodeId(8)), later(60)).await, FormClaim::Before(node));
    assert_eq!(claim(other, None, NOW).await, FormClaim::First);
    assert_eq!(claim(other, node, later(60)).await, FormClaim::Before(None));
    store.release_form(other).await.unwrap();
    assert_eq!(claim(other, node, later(60)).await, FormClaim::First);
    let day = 24 * 3_600;
    assert_eq!(claim(first, node, later(day - 1)).await, FormClaim::Before(node));
    assert_eq!(claim(first, node, later(day)).await, FormClaim::First);
    assert_eq!(claim(other, node, later(day)).await, FormClaim::Before(node));
}
