//! A request as code in several languages. Whatever a value holds, it stays one literal.

use serde_json::Value;

/// A language of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Curl,
    Php,
    Python,
    Node,
    Go,
    Ruby,
}

impl Language {
    /// Every language.
    pub(super) const ALL: [Self; 6] =
        [Self::Curl, Self::Php, Self::Python, Self::Node, Self::Go, Self::Ruby];

    /// Its name in a form.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Php => "php",
            Self::Python => "python",
            Self::Node => "node",
            Self::Go => "go",
            Self::Ruby => "ruby",
        }
    }

    /// Its name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Php => "PHP",
            Self::Python => "Python",
            Self::Node => "Node.js",
            Self::Go => "Go",
            Self::Ruby => "Ruby",
        }
    }

    /// The language of a form; curl where it names none.
    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|language| language.as_str() == name).unwrap_or(Self::Curl)
    }
}

/// A POST request with a JSON body.
pub(super) struct Call {
    /// The API it belongs to.
    pub(super) api: &'static str,
    /// Where it goes.
    pub(super) url: String,
    /// The header that holds the key; none where the body does.
    pub(super) key: Option<(&'static str, String)>,
    /// What it carries.
    pub(super) body: Value,
}

impl Call {
    /// The request in a language.
    pub(super) fn sample(&self, language: Language) -> String {
        match language {
            Language::Curl => self.curl(),
            Language::Php => self.php(),
            Language::Python => self.python(),
            Language::Node => self.node(),
            Language::Go => self.go(),
            Language::Ruby => self.ruby(),
        }
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let key = self.key.iter().map(|(name, value)| (*name, value.as_str()));
        key.chain([("Content-Type", "application/json")])
    }

    fn curl(&self) -> String {
        // A quote cannot stand inside quotes of a shell.
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let headers: String = self
            .headers()
            .map(|(name, value)| format!(" \\\n  -H {}", quoted(&format!("{name}: {value}"))))
            .collect();
        format!("curl {}{headers} \\\n  -d {}", self.url, quoted(&self.body.to_string()))
    }

    fn php(&self) -> String {
        let headers: String = self
            .headers()
            .map(|(name, value)| format!("        {},\n", php_text(&format!("{name}: {value}"))))
            .collect();
        format!(
            "<?php\n$curl = curl_init({});\ncurl_setopt_array($curl, [\n    CURLOPT_RETURNTRANSFER => \
             true,\n    CURLOPT_HTTPHEADER => [\n{headers}    ],\n    CURLOPT_POSTFIELDS => \
             json_encode({}),\n]);\necho curl_exec($curl), PHP_EOL;",
            php_text(&self.url),
            PHP.literal(&self.body, 1)
        )
    }

    fn python(&self) -> String {
        let headers: String = self
            .headers()
            .map(|(name, value)| format!("        {}: {},\n", json_text(name), json_text(value)))
            .collect();
        format!(
            "import json\nimport urllib.request\n\nbody = {}\nrequest = urllib.request.Request(\n    \
             {},\n    data=json.dumps(body).encode(),\n    headers={{\n{headers}    }},\n)\nwith \
             urllib.request.urlopen(request) as answer:\n    print(answer.read().decode())",
            PYTHON.literal(&self.body, 0),
            json_text(&self.url)
        )
    }

    fn node(&self) -> String {
        let headers: String = self
            .headers()
            .map(|(name, value)| format!("    {}: {},\n", json_text(name), json_text(value)))
            .collect();
        format!(
            "// As a module: request.mjs\nconst answer = await fetch({}, {{\n  method: \"POST\",\n  \
             headers: {{\n{headers}  }},\n  body: JSON.stringify({}),\n}});\nconsole.log(await \
             answer.text());",
            json_text(&self.url),
            NODE.literal(&self.body, 1)
        )
    }

    fn go(&self) -> String {
        let headers: String = self
            .headers()
            .map(|(name, value)| {
                format!("\trequest.Header.Set({}, {})\n", json_text(name), json_text(value))
            })
            .collect();
        format!(
            "package main\n\nimport (\n\t\"bytes\"\n\t\"encoding/json\"\n\t\"fmt\"\n\t\"io\"\n\t\"net/http\"\
             \n)\n\nfunc main() {{\n\tbody, err := json.Marshal({})\n\tcheck(err)\n\trequest, err := \
             http.NewRequest(\"POST\", {}, bytes.NewReader(body))\n\tcheck(err)\n{headers}\tanswer, err := \
             http.DefaultClient.Do(request)\n\tcheck(err)\n\tdefer answer.Body.Close()\n\ttext, err := \
             io.ReadAll(answer.Body)\n\tcheck(err)\n\tfmt.Println(string(text))\n}}\n\nfunc check(err \
             error) {{\n\tif err != nil {{\n\t\tpanic(err)\n\t}}\n}}",
            GO.literal(&self.body, 1),
            json_text(&self.url)
        )
    }

    fn ruby(&self) -> String {
        let headers: String = self
            .headers()
            .map(|(name, value)| format!("  {} => {},\n", ruby_text(name), ruby_text(value)))
            .collect();
        format!(
            "require \"json\"\nrequire \"net/http\"\n\nbody = {}\nheaders = {{\n{headers}}}\nanswer = \
             Net::HTTP.post(URI({}), body.to_json, headers)\nputs answer.body",
            RUBY.literal(&self.body, 0),
            ruby_text(&self.url)
        )
    }
}

/// How a language writes values.
struct Syntax {
    object: (&'static str, &'static str),
    arrow: &'static str,
    list: (&'static str, &'static str),
    booleans: [&'static str; 2],
    indent: &'static str,
    text: fn(&str) -> String,
}

const PHP: Syntax = Syntax {
    object: ("[", "]"),
    arrow: " => ",
    list: ("[", "]"),
    booleans: ["false", "true"],
    indent: "    ",
    text: php_text,
};
const PYTHON: Syntax =
    Syntax { object: ("{", "}"), arrow: ": ", booleans: ["False", "True"], text: json_text, ..PHP };
const NODE: Syntax = Syntax { booleans: ["false", "true"], indent: "  ", ..PYTHON };
const GO: Syntax =
    Syntax { object: ("map[string]any{", "}"), list: ("[]any{", "}"), indent: "\t", ..NODE };
const RUBY: Syntax = Syntax { arrow: " => ", text: ruby_text, ..NODE };

impl Syntax {
    /// A value; its further lines are indented so many times.
    fn literal(&self, value: &Value, depth: usize) -> String {
        let inside = self.indent.repeat(depth + 1);
        let lines = |(open, close): (&str, &str), items: Vec<String>| {
            let items: String = items.iter().map(|item| format!("{inside}{item},\n")).collect();
            format!("{open}\n{items}{}{close}", self.indent.repeat(depth))
        };
        match value {
            Value::Object(fields) => {
                let item = |(name, value): (&String, &Value)| {
                    let (name, value) = ((self.text)(name), self.literal(value, depth + 1));
                    format!("{name}{}{value}", self.arrow)
                };
                lines(self.object, fields.iter().map(item).collect())
            }
            Value::Array(items) => {
                lines(self.list, items.iter().map(|item| self.literal(item, depth + 1)).collect())
            }
            Value::String(text) => (self.text)(text),
            Value::Bool(flag) => self.booleans[usize::from(*flag)].to_owned(),
            Value::Number(number) => number.to_string(),
            // No request of ours holds any.
            Value::Null => (self.text)(""),
        }
    }
}

/// A text as in JSON, which Python, JavaScript and Go read as well. A mark of the byte order is refused
/// inside a source of Go, and the two line ends by older engines of JavaScript.
fn json_text(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    ['\u{feff}', '\u{2028}', '\u{2029}']
        .iter()
        .fold(quoted, |quoted, odd| quoted.replace(*odd, &format!("\\u{:04x}", u32::from(*odd))))
}

fn ruby_text(text: &str) -> String {
    // `#{…}` would be run.
    json_text(text).replace('#', "\\#")
}

fn php_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write as _};
    use std::process::{Command, Stdio};

    use serde_json::json;

    use super::*;

    fn call(text: &str) -> Call {
        let body = json!({
            "to": "628123", "text": text, "poll": { "options": ["a", "b"], "selectable": 1 },
            "point": -6.2, "is_group": true
        });
        let key = Some(("Authorization", "Bearer YOUR_KEY".to_owned()));
        Call { api: "x", url: "http://localhost:8080/v1/messages".into(), key, body }
    }

    /// What no language may take for anything but text.
    const ODD: &str = "it's \"so\" $(id) `x` #{exit} ${a} $b \\ \\n %s {0} <?= 1 ?> */ //\r\n\t\u{feff}\u{2028}é😀";

    /// Runs a tool on a source; `None` where the tool is not installed. `cargo xtask test` brings all.
    fn run(tool: &str, arguments: &[&str], source: &str) -> Option<String> {
        let command = Command::new(tool)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match command {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            child => child.unwrap(),
        };
        child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{tool}: {error}\n{source}");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn every_sample_can_be_read_by_its_language() {
        let python = "import ast, sys; ast.parse(sys.stdin.read())";
        let checks: [(Language, &str, &[&str]); 6] = [
            (Language::Curl, "bash", &["-n"]),
            (Language::Php, "php", &["-l"]),
            (Language::Python, "python3", &["-c", python]),
            (Language::Node, "node", &["--input-type=module", "--check", "-"]),
            (Language::Go, "gofmt", &["-e"]),
            (Language::Ruby, "ruby", &["-c"]),
        ];
        for (language, tool, arguments) in checks {
            run(tool, arguments, &call(ODD).sample(language));
        }
    }

    #[test]
    fn a_text_means_the_same_in_every_language() {
        let call = call(ODD);
        let expected = call.body.clone();
        let is_same = |printed: Option<String>| {
            if let Some(printed) = printed {
                assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), expected, "{printed}");
            }
        };
        let php = format!("<?php echo json_encode({});", PHP.literal(&call.body, 0));
        is_same(run("php", &[], &php));
        let python = format!("import json\nprint(json.dumps({}))", PYTHON.literal(&call.body, 0));
        is_same(run("python3", &["-"], &python));
        let node = format!("console.log(JSON.stringify({}))", NODE.literal(&call.body, 0));
        is_same(run("node", &["-"], &node));
        let ruby = format!("require 'json'\nputs({}.to_json)", RUBY.literal(&call.body, 0));
        is_same(run("ruby", &[], &ruby));
        let (before, body) =
            call.curl().split_once(" -d ").map(|(a, b)| (a.len(), b.to_owned())).unwrap();
        assert!(before > 0);
        is_same(run("bash", &[], &format!("printf %s {body}")));
    }

    #[test]
    fn a_text_with_quotes_stays_one_argument() {
        let body = json!({ "text": "it's \"so\" $(id) `x`\n" });
        let key = Some(("K", "v".to_owned()));
        let call = Call { api: "x", url: "http://h/p".into(), key, body };
        let expected = "curl http://h/p \\\n  -H 'K: v' \\\n  -H 'Content-Type: application/json' \\\n  \
             -d '{\"text\":\"it'\\''s \\\"so\\\" $(id) `x`\\n\"}'";
        assert_eq!(call.curl(), expected);
    }
}
