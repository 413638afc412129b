//! Slack, by an incoming webhook: one POST of `{"text": ...}` a message, answered with 200 and `ok`.
//!
//! The address of a webhook is a secret: who knows it can post. It is read where a request is made, and nothing here
//! puts it into an error, a log line or a debug text.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use levibot_core::alerts::{Severity, Told};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use super::slow::{Answer, Carrier};

/// Slack cuts a text at 40,000 characters and asks for no more than 4,000.
const CHARS_MAX: usize = 4_000;
/// A message that says more than this is cut.
const LINE_CHARS_MAX: usize = 3_000;
/// What is read of an answer: `ok`, or one word that says what is wrong.
const ANSWER_BYTES_MAX: usize = 512;
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(10);

const REMEDY: &str = "make a new incoming webhook in Slack, put its address into LEVIBOT_SLACK_WEBHOOK or the file of \
                      `alerts.slack_webhook_file`, and restart levibot";

/// Why there is no way to Slack.
#[derive(Debug, thiserror::Error)]
pub enum SlackError {
    /// The client cannot be made; mostly no certificate authority is known.
    #[error("alerts cannot go to Slack: install this system's CA certificates (package ca-certificates)")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

/// Posts to one webhook.
pub struct Slack {
    client: Client,
    webhook: SecretString,
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack").finish_non_exhaustive()
    }
}

impl Slack {
    /// A way to this webhook, an address that the configuration has checked.
    ///
    /// # Errors
    /// [`SlackError`] when the system has no certificates to check Slack's with.
    pub fn new(webhook: SecretString) -> Result<Self, SlackError> {
        Self::with_patience(webhook, REQUEST)
    }

    fn with_patience(webhook: SecretString, request: Duration) -> Result<Self, SlackError> {
        // Another one that is installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would hand the message, and with some answers the address, to somebody else.
        let client = Client::builder().redirect(Policy::none()).timeout(request).build();
        let client = client.map_err(|error| SlackError::Client(error.without_url().into()))?;
        Ok(Self { client, webhook })
    }

    async fn post(&self, text: &str) -> Answer {
        let body = serde_json::json!({ "text": text, "mrkdwn": false }).to_string();
        let request = self.client.post(self.webhook.expose_secret()).header(CONTENT_TYPE, "application/json");
        let response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return refused("the address of the webhook is not one"),
            Err(error) => return Answer::Later { after: None, why: words(error) },
        };
        let (status, after) = (response.status(), retry_after(&response));
        match first_bytes(response).await {
            Ok(answer) => judged(status, after, &answer),
            Err(error) => Answer::Later { after, why: words(error) },
        }
    }
}

impl Carrier for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    async fn carry(&self, messages: &[Told]) -> (usize, Answer) {
        let (taken, text) = text_of(messages);
        (taken, self.post(&text).await)
    }
}

fn judged(status: StatusCode, after: Option<Duration>, answer: &str) -> Answer {
    if status == StatusCode::OK && answer.trim() == "ok" {
        return Answer::Delivered;
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Answer::Later { after, why: format!("Slack answered {}", status.as_u16()) };
    }
    if status.is_redirection() {
        return refused(&format!("it answered {} and wants us elsewhere, which is not followed", status.as_u16()));
    }
    // Slack says what is wrong in one word, such as `no_service`. Anything else is not repeated: it could be anything.
    let word = answer.trim();
    let is_word = (1..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let said = if is_word { format!("`{word}`") } else { "nothing that Slack says".to_owned() };
    refused(&format!("it answered {} with {said}", status.as_u16()))
}

fn refused(what: &str) -> Answer {
    Answer::Refused { why: format!("the webhook of Slack does not take messages: {what}; {REMEDY}") }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn first_bytes(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await?
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX)]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An error of the client with its causes, without the address.
fn words(error: reqwest::Error) -> String {
    crate::telemetry::chain(&error.without_url())
}

/// One line a message, as many as fit, and how many.
fn text_of(messages: &[Told]) -> (usize, String) {
    let (mut text, mut chars, mut taken) = (String::new(), 0, 0);
    for told in messages {
        let line = line_of(told);
        let more = line.chars().count() + 1;
        if taken > 0 && chars + more > CHARS_MAX {
            break;
        }
        if taken > 0 {
            text.push('\n');
        }
        text.push_str(&line);
        (chars, taken) = (chars + more, taken + 1);
    }
    (taken, text)
}

fn line_of(told: &Told) -> String {
    let head = match told.alert.severity {
        Severity::Info => "\u{2139}\u{fe0f} info: ",
        Severity::Warning => "\u{26a0}\u{fe0f} warning: ",
        Severity::Critical => "\u{1f6a8} critical: ",
    };
    let mut line = head.to_owned();
    let mut chars = head.chars().count();
    for c in told.alert.text.chars() {
        let mut plain = [0; 4];
        // Everything else is shown as it is; these three would be read as markup.
        let shown = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            other => other.encode_utf8(&mut plain),
        };
        chars += shown.chars().count();
        if chars > LINE_CHARS_MAX {
            line.push('\u{2026}');
            break;
        }
        line.push_str(shown);
    }
    line
}

#[cfg(test)]
#[path = "slack_tests.rs"]
mod tests;
