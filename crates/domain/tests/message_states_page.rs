//! `docs/message-states.md` says what the code does.

use domain::message::{MessageEvent, MessageState, transition};

const PAGE: &str = include_str!("../../../docs/message-states.md");

/// The table as the page has to show it.
fn table() -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let name = |event: &MessageEvent| words(&format!("{event:?}"));
    let mut head = vec!["state".to_owned()];
    head.extend(MessageEvent::ALL.iter().map(name));
    let mut table = row(head);
    table += &row(vec!["---".to_owned(); MessageEvent::ALL.len() + 1]);
    for state in MessageState::ALL {
        let mut cells = vec![format!("`{}`", state.as_str())];
        cells.extend(MessageEvent::ALL.iter().map(|event| match transition(state, *event) {
            Some(next) => next.as_str().to_owned(),
            None => "–".to_owned(),
        }));
        table += &row(cells);
    }
    table
}

/// `Submitted` becomes `submitted`, `AttemptFailed` `attempt failed`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

#[test]
fn the_pages_table_is_the_transition_function() {
    let from = PAGE.find("<!-- table").and_then(|at| Some(at + PAGE[at..].find('\n')? + 1));
    let from = from.expect("the page marks its table");
    let until = PAGE.find("<!-- end of table -->").expect("the page marks the table's end");
    assert_eq!(&PAGE[from..until], table(), "put this into docs/message-states.md:\n\n{}", table());
}

#[test]
fn the_drawing_shows_only_what_can_happen() {
    let drawing = PAGE.split("```mermaid").nth(1).and_then(|rest| rest.split("```").next());
    let arrows = drawing.expect("the page has a drawing").lines().filter_map(|line| {
        let (from, to) = line.trim().split_once(" --> ")?;
        let to = to.split(':').next().unwrap_or(to);
        Some((MessageState::from_name(from)?, MessageState::from_name(to.trim())?))
    });
    let mut count = 0;
    for (from, to) in arrows {
        let possible = MessageEvent::ALL.iter().any(|event| transition(from, *event) == Some(to));
        assert!(possible, "{from:?} --> {to:?}");
        count += 1;
    }
    assert_eq!(count, 15, "every arrow between two states was read");
}

#[test]
fn every_state_is_explained() {
    for state in MessageState::ALL {
        assert!(PAGE.contains(&format!("\n| `{}` | ", state.as_str())), "{state:?}");
    }
}
