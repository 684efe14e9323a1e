//! The people that forms name: contacts that a message carries, and those whom its text mentions.

use domain::content::Contact;
use domain::context::Mentions;

use super::contents::{Carries, SendForm, given};

/// The contacts of a form: the one with fields of its own, and those of further lines.
pub(super) fn contacts_of(form: &SendForm) -> Vec<Contact> {
    let mut contacts = vec![Contact {
        name: form.contact.trim().to_owned(),
        phone: given(&form.phone),
        organization: given(&form.organization),
    }];
    contacts.extend(further_contacts(form).map(|(_, contact)| contact));
    contacts
}

/// The contacts of further lines, with the number of each line.
fn further_contacts(form: &SendForm) -> impl Iterator<Item = (usize, Contact)> {
    let lines = form.contacts.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines.map(|(line, number)| (number, contact_in(line)))
}

/// A contact as people write it in a line, or copy it from a spreadsheet: name, number and organization. A
/// name may hold a comma where the parts have something else between them.
fn contact_in(line: &str) -> Contact {
    let between = [';', '\t', ','].into_iter().find(|mark| line.contains(*mark)).unwrap_or(';');
    let mut parts = line.splitn(3, between).map(str::trim);
    let name = parts.next().unwrap_or_default().to_owned();
    let phone = given(parts.next().unwrap_or_default());
    let organization = given(parts.next().unwrap_or_default());
    Contact { name, phone, organization }
}

/// The first further line that lacks a name or a number.
pub(super) fn faulty_contact(form: &SendForm) -> Option<usize> {
    let is_faulty = |contact: &Contact| contact.name.is_empty() || contact.phone.is_none();
    further_contacts(form).find(|(_, contact)| is_faulty(contact)).map(|(line, _)| line)
}

/// Whom a form mentions; other contents than a text or a caption mention no one.
pub(super) fn mentions_of(form: &SendForm) -> Vec<String> {
    if !matches!(form.kind, Carries::Text | Carries::File) {
        return Vec::new();
    }
    mentions_in(&form.mentions)
}

/// Whom a field for mentions names.
pub(super) fn mentions_in(written: &str) -> Vec<String> {
    let written = written.split(['\n', ',', ';']);
    let written =
        written.map(|one| one.trim().trim_start_matches('@')).filter(|one| !one.is_empty());
    let named = written.map(|one| match one {
        // What `all` is called on the page.
        word if word.eq_ignore_ascii_case("semua") => "all",
        one => one,
    });
    named.map(str::to_owned).collect()
}

/// Mentions as they are written into their field; `all` is what everybody is called on the page.
pub(super) fn written_mentions(all: &str, mentions: &Mentions) -> String {
    let all = mentions.all.then(|| all.to_owned());
    let people = mentions.people.iter().map(|person| mention(person));
    all.into_iter().chain(people).collect::<Vec<_>>().join("\n")
}

/// A person who is mentioned: a number as people know it, or an address.
pub(super) fn mention(person: &str) -> String {
    if person.bytes().all(|b| b.is_ascii_digit()) {
        format!("+{person}")
    } else {
        person.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_in_lines_and_mentions_as_they_are_written() {
        let contacts = "Budi, S.Kom; 0812; Toko Maju, Solo\n\nAni\t0813\nCici,0814,Toko; X\n";
        let form = SendForm {
            contact: "Sri".to_owned(),
            phone: "0811".to_owned(),
            contacts: contacts.to_owned(),
            mentions: "@0812 345\r\n+62 813,; SEMUA \n".to_owned(),
            ..SendForm::default()
        };
        let contacts = contacts_of(&form);
        let read: Vec<_> = contacts
            .iter()
            .map(|contact| {
                (&*contact.name, contact.phone.as_deref(), contact.organization.as_deref())
            })
            .collect();
        let expected = [
            ("Sri", Some("0811"), None),
            ("Budi, S.Kom", Some("0812"), Some("Toko Maju, Solo")),
            ("Ani", Some("0813"), None),
            ("Cici,0814,Toko", Some("X"), None),
        ];
        assert_eq!(read, expected);
        assert_eq!(faulty_contact(&form), None);
        let nameless = SendForm { contacts: "a;1\n;2".to_owned(), ..SendForm::default() };
        assert_eq!(faulty_contact(&nameless), Some(2));
        assert_eq!(mentions_of(&form), ["0812 345", "+62 813", "all"]);
        assert!(mentions_of(&SendForm { kind: Carries::Poll, ..form }).is_empty());
    }
}
