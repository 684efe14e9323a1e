//! JSON over HTTP, with a key.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::simulator::Simulator;
use super::wait::until;

/// A client of one server with one key.
#[derive(Clone)]
pub struct Api {
    client: reqwest::Client,
    base: String,
    key: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body; null when it is empty or no JSON.
    pub body: Value,
    /// Its header `Location`; empty without one.
    pub location: String,
}

impl Reply {
    async fn of(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let status = response.status().as_u16();
        let location = response.headers().get(reqwest::header::LOCATION);
        let location = location.map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        Ok(Self { status, body, location })
    }

    /// The body, when the status is one of success.
    ///
    /// # Panics
    /// When it is not.
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "refused: {self:?}");
        self.body
    }
}

impl Api {
    /// A client without a key.
    pub fn new(base: impl Into<String>) -> Self {
        Self::built(base, |client| client)
    }

    /// A client without a key whose connections come from an address of this machine.
    pub fn from_address(base: &str, address: IpAddr) -> Self {
        Self::built(base, |client| client.local_address(address))
    }

    /// A client without a key that uses no connection twice.
    pub fn without_reuse(base: &str) -> Self {
        Self::built(base, |client| client.pool_max_idle_per_host(0))
    }

    fn built(
        base: impl Into<String>,
        set: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Self {
        // Plain HTTP only, but the client wants to know which cryptography it would use.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy();
        let client = client.timeout(std::time::Duration::from_secs(60));
        Self { client: set(client).build().unwrap(), base: base.into(), key: None }
    }

    /// The same with another key.
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self.clone() }
    }

    /// The same with another server, at `HOST:PORT`.
    pub fn at(&self, address: &str) -> Self {
        Self { base: format!("http://{address}"), ..self.clone() }
    }

    /// A request; an error when no answer came.
    pub async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Reply, reqwest::Error> {
        let method = method.parse::<reqwest::Method>().unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            // The second is where wachat looks for it.
            request = request.bearer_auth(key).header("apikey", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Reply::of(request.send().await?).await
    }

    /// A request that must be answered.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let reply = self.try_call(method, path, body).await;
        reply.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The body of a successful GET.
    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.ok()
    }

    /// The text of a successful GET.
    pub async fn text(&self, path: &str) -> String {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    /// The body of a successful POST.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, Some(body)).await.ok()
    }

    /// A POST with an idempotency key.
    pub async fn post_once(&self, path: &str, body: Value, key: &str) -> Reply {
        let request = self.client.post(format!("{}{path}", self.base)).json(&body);
        let request = request.header("Idempotency-Key", key);
        let response = request.bearer_auth(self.key.as_deref().unwrap_or_default()).send().await;
        let response = response.unwrap_or_else(|error| panic!("POST {path}: {error}"));
        Reply::of(response).await.unwrap()
    }

    /// The body of a successful PUT.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.call("PUT", path, Some(body)).await.ok()
    }

    /// As the operator: makes an account and returns a client with its key.
    pub async fn make_account(&self, name: &str, plan: &str) -> Self {
        let email = format!("{name}@example.com");
        let body = json!({ "name": name, "email": email, "plan": plan });
        let account = self.post("/v1/accounts", body).await;
        self.with_key(account["key"].as_str().unwrap())
    }

    /// The key it uses.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Makes a device and returns its id.
    pub async fn make_device(&self, name: &str) -> String {
        let device = self.post("/v1/devices", json!({ "name": name })).await;
        device["id"].as_str().unwrap().to_owned()
    }

    /// Makes a device, links it to a simulated phone and waits until it is connected.
    pub async fn make_linked_device(&self, simulator: &Simulator, phone: &str) -> String {
        let device = self.make_device(phone).await;
        let offer = self.post(&format!("/v1/devices/{device}/pair"), json!({})).await;
        simulator.scan(phone, offer["qr"].as_str().unwrap()).await;
        self.wait_for_status(&device, "connected").await;
        device
    }

    /// The state of a device.
    pub async fn status(&self, device: &str) -> String {
        let device = self.get(&format!("/v1/devices/{device}")).await;
        device["status"].as_str().unwrap().to_owned()
    }

    /// Waits until a device has a state.
    pub async fn wait_for_status(&self, device: &str, status: &str) {
        until(format!("device {device} becomes {status}"), 60, async || {
            (self.status(device).await == status).then_some(())
        })
        .await;
    }

    /// Every row of a list, all pages.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut page = format!("{path}{separator}limit=100");
        loop {
            let list = self.get(&page).await;
            rows.extend(list["data"].as_array().unwrap().iter().cloned());
            let Some(cursor) = list["next_cursor"].as_str() else { return rows };
            page = format!("{path}{separator}limit=100&cursor={cursor}");
        }
    }
}
