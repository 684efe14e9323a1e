//! What the title and the `meta` tags of a page say; pure.
//!
//! Invariant: the work grows with the length of the page and no faster, whatever is in it: its writer
//! decides that, and others wait meanwhile.

/// Most bytes of a tag that is read; the title ends as far from the beginning of its own.
const TAG_BYTES_MAX: usize = 8 * 1024;
/// Most tags that are read, with those that never end.
const TAGS_MAX: usize = 512;
/// Longest name of a character, such as `&hellip;`.
const ENTITY_BYTES_MAX: usize = 16;

/// The tags of a page, as they are written there.
pub(crate) struct Head<'p> {
    title: Option<&'p str>,
    /// Names and contents, in order.
    named: Vec<(&'p str, &'p str)>,
}

impl<'p> Head<'p> {
    pub(crate) fn of(page: &'p str) -> Self {
        let mut head = Self { title: None, named: Vec::new() };
        let tags = page.match_indices('<').filter_map(|(at, _)| Tag::begins(&page[at + 1..]));
        for tag in tags.take(TAGS_MAX) {
            match tag {
                Tag::Title(rest) => head.title = head.title.or_else(|| title(rest)),
                Tag::Meta(rest) => head.named.extend(named(rest)),
            }
        }
        head
    }

    /// The text between the tags of the title.
    pub(crate) fn title(&self) -> Option<&'p str> {
        self.title
    }

    /// The content of the first `meta` with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&'p str> {
        let found = self.named.iter().find(|(its, _)| its.eq_ignore_ascii_case(name));
        found.map(|(_, content)| *content)
    }
}

/// A tag, by what follows its name, as far as it is read.
enum Tag<'p> {
    Title(&'p str),
    Meta(&'p str),
}

impl<'p> Tag<'p> {
    fn begins(inside: &'p str) -> Option<Self> {
        let title = after_name(inside, "title").map(Self::Title);
        title.or_else(|| after_name(inside, "meta").map(Self::Meta))
    }
}

fn after_name<'p>(inside: &'p str, name: &str) -> Option<&'p str> {
    let (begins, rest) = inside.split_at_checked(name.len())?;
    let is_whole = !rest.chars().next()?.is_alphanumeric();
    let end = rest.floor_char_boundary(TAG_BYTES_MAX);
    (begins.eq_ignore_ascii_case(name) && is_whole).then_some(&rest[..end])
}

fn title(rest: &str) -> Option<&str> {
    let (_, text) = rest.split_once('>')?;
    text.split('<').next()
}

/// The name and the content of a `meta`.
fn named(rest: &str) -> Option<(&str, &str)> {
    let (tag, _) = rest.split_once('>')?;
    let name = attribute(tag, "property").or_else(|| attribute(tag, "name"))?;
    Some((name, attribute(tag, "content")?))
}

/// The value of an attribute.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = tag;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.chars().next()? {
            quote @ ('"' | '\'') => after[1..].split_once(quote)?,
            _ => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
}

/// A line of at most so many characters; `None` for an empty one.
pub(crate) fn short(text: &str, chars_max: usize) -> Option<String> {
    let text = decoded(text);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).take(chars_max).collect();
    (!line.is_empty()).then_some(line)
}

/// A text with the characters that its entities stand for.
pub(crate) fn decoded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let near = &after[..after.floor_char_boundary(ENTITY_BYTES_MAX)];
        let entity =
            near.split_once(';').and_then(|(name, _)| Some((entity(name)?, name.len() + 1)));
        let (character, length) = entity.unwrap_or(('&', 0));
        decoded.push(character);
        rest = &after[length..];
    }
    decoded.push_str(rest);
    decoded
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        _ => {
            let number = name.strip_prefix('#')?;
            let hex = number.strip_prefix(['x', 'X']);
            let code = hex.map_or_else(|| number.parse(), |hex| u32::from_str_radix(hex, 16));
            char::from_u32(code.ok()?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_bounded_whatever_a_page_holds() {
        // Each took minutes when every tag was followed to the end of the page, and every `&` likewise.
        let title = "<title>T</title>";
        let full = |part: &str| format!("{title}{}", part.repeat((1 << 20) / part.len()));
        for part in ["<meta ", "<meta name=a ", "<title ", "<", "<meta name=\"", "=", "<meta ="] {
            for end in ["", ">", "\">"] {
                let page = full(part) + end;
                assert_eq!(Head::of(&page).title(), Some("T"), "{part}{end}");
            }
        }
        for part in ["&", "&#", "&é"] {
            let text = part.repeat(1 << 20);
            assert_eq!(decoded(&(text.clone() + ";")), text.clone() + ";");
            let page = format!("<title>{text};</title>");
            assert!(Head::of(&page).title().unwrap().len() <= TAG_BYTES_MAX);
        }
    }

    #[test]
    fn a_tag_that_is_too_long_is_none_and_only_so_many_count() {
        let named = |name: &str| format!("<meta name={name} content=x>");
        let long = format!("<meta name=long content={}>", "x".repeat(TAG_BYTES_MAX));
        let page = format!("<meta {long}{}", named("a"));
        let head = Head::of(&page);
        assert_eq!((head.get("long"), head.get("A")), (None, Some("x")));
        let page = "<meta ".repeat(TAGS_MAX - 1) + &named("last") + &named("beyond");
        let head = Head::of(&page);
        assert_eq!((head.get("last"), head.get("beyond")), (Some("x"), None));
    }
}
