//! `/llms.txt`: the pages and documents, listed for programs.

use crate::api::Api;

/// The page, in the form that llmstxt.org describes.
pub(super) fn page(apis: &[&Api], address: &str) -> String {
    let mut text = format!(
        "# Gerbang\n\n\
         > A self-hosted gateway to WhatsApp: it links many numbers, sends and receives for them over \
         HTTP, and reports what became of each message to webhooks. Below {address}, beside its own \
         API, it speaks those of other gateways at their own paths.\n\n\
         Send with `POST {address}/v1/messages`, a key as `Authorization: Bearer …`, and a JSON body of \
         `device`, `to` and `text`. The answer 202 means that the message is on disk.\n\n## APIs\n\n"
    );
    for api in apis {
        let about = api.about.split(". ").next().unwrap_or_default().trim_end_matches('.');
        text.push_str(&format!("- [{}]({address}/docs/{}): {about}.\n", api.title, api.name));
    }
    text.push_str("\n## OpenAPI documents\n\n");
    for (index, api) in apis.iter().enumerate() {
        let query = if index == 0 { String::new() } else { format!("?dialect={}", api.name) };
        text.push_str(&format!(
            "- [{} as OpenAPI 3.1]({address}/openapi.json{query}), \
             [3.0 without references]({address}/openapi-3.0.json{query})\n",
            api.title
        ));
    }
    text
}
