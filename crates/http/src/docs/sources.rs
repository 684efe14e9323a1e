//! What the pages show and this crate does not hold: `build.rs` lists the files where they are.

/// A file, as it is.
pub(super) struct File {
    /// Its name, such as `client.py`.
    pub name: &'static str,
    /// Its contents.
    pub text: &'static str,
}

/// What there is to read about an API.
pub(super) struct Sources {
    /// `v1` or a dialect's name.
    api: &'static str,
    /// Its guide in Markdown; empty when it has none.
    pub guide: &'static str,
    /// Its sample clients.
    pub clients: &'static [File],
}

static ALL: &[Sources] = &include!(concat!(env!("OUT_DIR"), "/sources.rs"));
static RECEIVERS: &[File] = &include!(concat!(env!("OUT_DIR"), "/receivers.rs"));
static NOTHING: Sources = Sources { api: "", guide: "", clients: &[] };

impl Sources {
    /// Those of an API.
    pub(super) fn of(api: &str) -> &'static Self {
        ALL.iter().find(|sources| sources.api == api).unwrap_or(&NOTHING)
    }
}

impl File {
    /// What stands before the name's dot, and behind it.
    fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or((self.name, ""))
    }

    /// The language it is written in, and the command that runs it.
    pub(super) fn language(&self) -> (&'static str, &'static str) {
        match self.parts().1.rsplit('.').next().unwrap_or_default() {
            "sh" => ("curl", "sh"),
            "go" => ("Go", "go run"),
            "mjs" => ("Node", "node"),
            "php" => ("PHP", "php"),
            "py" => ("Python", "python3"),
            "rb" => ("Ruby", "ruby"),
            ending => (ending, "cat"),
        }
    }

    /// What it is called among its like: its language, and what it does where its name says more.
    pub(super) fn title(&self) -> String {
        let language = self.language().0;
        match self.parts().1.split_once('.') {
            Some((purpose, _)) => format!("{language}: {purpose}"),
            None => language.to_owned(),
        }
    }
}

/// The receivers of webhooks in a format; each is called by it.
pub(super) fn receivers(format: &str) -> impl Iterator<Item = &'static File> {
    RECEIVERS.iter().filter(move |file| file.parts().0 == format)
}
