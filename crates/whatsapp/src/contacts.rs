//! Contacts as WhatsApp sends them: vCards; pure.

use domain::content::Contact;

/// The lines of a vCard that are read, at most.
const LINES_MAX: usize = 200;
/// The length of a value that is kept, in characters.
const VALUE_CHARS_MAX: usize = 200;

/// Writes a contact so that phones offer to call and to write to it.
pub(crate) fn vcard(contact: &Contact) -> String {
    let phone = contact.phone.as_deref().unwrap_or_default();
    let mut card = format!(
        "BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n",
        name = escaped(&contact.name)
    );
    if let Some(organization) = contact.organization.as_deref().filter(|text| !text.is_empty()) {
        card.push_str(&format!("ORG:{};\n", escaped(organization)));
    }
    // Only a whole number can be an account's; what is written otherwise can be called all the same.
    let is_whole = !phone.is_empty() && phone.bytes().all(|byte| byte.is_ascii_digit());
    let telephone = match is_whole {
        true => format!(";waid={phone}:+{phone}"),
        false => format!(":{}", escaped(phone)),
    };
    card.push_str(&format!("TEL;type=CELL;type=VOICE{telephone}\nEND:VCARD"));
    card
}

/// Reads a contact; what is not in the vCard is taken from the name beside it.
pub(crate) fn contact(display_name: Option<&str>, vcard: Option<&str>) -> Contact {
    let mut read = Contact::default();
    let (mut name, mut telephone) = (None, None);
    for line in vcard.unwrap_or_default().lines().take(LINES_MAX) {
        let Some((property, value)) = line.split_once(':') else { continue };
        let (property, parameters) = property.split_once(';').unwrap_or((property, ""));
        // A group, such as `item1.TEL`.
        let property = property.rsplit('.').next().unwrap_or(property);
        let value = short(value);
        match property.to_ascii_uppercase().as_str() {
            "FN" if name.is_none() => name = Some(unescaped(&value)),
            "ORG" if read.organization.is_none() => {
                let organization = unescaped(value.trim_end_matches(';'));
                read.organization = Some(organization).filter(|text| !text.is_empty());
            }
            "TEL" if telephone.is_none() => telephone = number(parameters, &value),
            _ => {}
        }
    }
    let given = display_name.map(short).filter(|text| !text.is_empty());
    read.name = name.filter(|text| !text.is_empty()).or(given).unwrap_or_default();
    read.phone = telephone;
    read
}

/// The number of the account where there is one, else as it is written.
fn number(parameters: &str, value: &str) -> Option<String> {
    let account = parameters.split(';').find_map(|one| one.strip_prefix("waid="));
    let account = account.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    account.map(short).or_else(|| Some(value.trim().to_owned())).filter(|text| !text.is_empty())
}

fn short(text: &str) -> String {
    text.trim().chars().take(VALUE_CHARS_MAX).collect()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.trim().chars() {
        if matches!(c, '\\' | ';' | ',') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn unescaped(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('n' | 'N') => unescaped.push(' '),
                Some(next) => unescaped.push(next),
                None => {}
            },
            c => unescaped.push(c),
        }
    }
    unescaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (name, organization) in
            [("Budi", None), ("Santoso; Budi, Dr. \\", Some("Toko; Maju, Jaya"))]
        {
            let written = Contact {
                name: name.into(),
                phone: Some("628123456".into()),
                organization: organization.map(Into::into),
            };
            let read = contact(None, Some(&vcard(&written)));
            assert_eq!(read, written);
        }
    }

    #[test]
    fn what_is_no_whole_number_can_be_called_only() {
        let short =
            Contact { name: "Taxi".into(), phone: Some("021 555".into()), organization: None };
        let card = vcard(&short);
        assert!(card.contains("\nTEL;type=CELL;type=VOICE:021 555\n"), "{card}");
        assert_eq!(contact(None, Some(&card)), short);
    }

    #[test]
    fn cards_of_phones_are_read() {
        let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Ali;;;;\r\nFN:Ali\r\nitem1.TEL:+62 21 555\r\n\
                    item1.X-ABLabel:Ponsel\r\nEND:VCARD";
        let read = contact(Some("Pak Ali"), Some(card));
        assert_eq!((read.name.as_str(), read.phone.as_deref()), ("Ali", Some("+62 21 555")));
        let bare = contact(Some("Pak Ali"), None);
        assert_eq!((bare.name.as_str(), bare.phone), ("Pak Ali", None));
        let odd = contact(None, Some("TEL;waid=x:\nFN"));
        assert_eq!(odd, Contact::default());
    }
}
