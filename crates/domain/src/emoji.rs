//! What an emoji is, as phones put it together; pure.
//!
//! The shapes are those of Unicode Technical Standard 51. The ranges take in what is not assigned yet:
//! whether an emoji is one that WhatsApp knows is WhatsApp's to say.

const JOINER: char = '\u{200d}';
const AS_PICTURE: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';

/// Whether a text is one emoji, such as `👍🏽`, `❤️`, `👨‍👩‍👧`, `🇮🇩` or `1️⃣`.
pub fn is_one(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    match chars[..] {
        [key, KEYCAP] | [key, AS_PICTURE, KEYCAP] => matches!(key, '0'..='9' | '#' | '*'),
        [one, two] if is_regional(one) => is_regional(two),
        _ => chars.split(|c| *c == JOINER).all(is_picture),
    }
}

/// One picture, as it stands between joiners.
fn is_picture(chars: &[char]) -> bool {
    let Some((first, rest)) = chars.split_first() else { return false };
    let rest = match rest {
        ['\u{1f3fb}'..='\u{1f3ff}' | AS_PICTURE, rest @ ..] => rest,
        rest => rest,
    };
    is_pictographic(*first) && is_region_flag(rest)
}

/// The letters of a region, such as Scotland's, that follow a black flag; or none.
fn is_region_flag(tags: &[char]) -> bool {
    let Some((last, letters)) = tags.split_last() else { return true };
    *last == '\u{e007f}' && letters.iter().all(|c| matches!(c, '\u{e0030}'..='\u{e007a}'))
}

fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

fn is_pictographic(c: char) -> bool {
    matches!(
        c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{24c2}'
            | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
            | '\u{2194}'..='\u{21aa}'
            | '\u{231a}'..='\u{23ff}'
            | '\u{25aa}'..='\u{27bf}'
            | '\u{2934}'..='\u{2935}'
            | '\u{2b05}'..='\u{2b55}'
            | '\u{1f000}'..='\u{1faff}'
    ) && !is_regional(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_is_one_picture() {
        let one = [
            "👍",
            "👍🏽",
            "❤️",
            "❤",
            "👨‍👩‍👧‍👦",
            "🏳️‍🌈",
            "❤️‍🔥",
            "🧑🏽‍💻",
            "🇮🇩",
            "1️⃣",
            "#⃣",
            "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
            "☕",
            "〰️",
            "©️",
            "🫶🏿",
            "🪿",
        ];
        for text in one {
            assert!(is_one(text), "{text}");
        }
        let none = [
            "",
            "1",
            "#",
            "a",
            "好好好",
            "好",
            "👍👍👍",
            "👍 ",
            "\u{200b}",
            "\u{200d}",
            "👍\u{200d}",
            "\u{fe0f}",
            "🇮",
            "🇮🇩🇮",
            "🇮🇩🇮🇩",
            "1️",
            "👍1",
            "👍🏽🏽",
            "\u{20e3}",
            "🏴\u{e0067}",
            ":)",
            "é",
        ];
        for text in none {
            assert!(!is_one(text), "{text:?}");
        }
    }
}
