//! Lists that claim to have changed, and those who listen for it.

use serde_json::{Value, json};
use tokio::sync::broadcast::{self, error::RecvError};
use toolyard_server::mcp::{ErrorData, SubscriptionContext, SubscriptionFilter};

use crate::content::text;

#[derive(Clone, Copy, Debug)]
enum List {
    Tools,
    Prompts,
}

/// Tells every subscription.
pub(crate) struct Changes {
    told: broadcast::Sender<List>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { told: broadcast::channel(16).0 }
    }
}

impl Changes {
    /// Says that the tools changed and answers the call.
    pub(crate) fn tools(&self) -> Value {
        self.change(List::Tools)
    }

    /// Says that the prompts changed and answers the call.
    pub(crate) fn prompts(&self) -> Value {
        self.change(List::Prompts)
    }

    fn change(&self, list: List) -> Value {
        // Nobody may be listening.
        let listeners = self.told.send(list).unwrap_or(0);
        json!([text(&format!("{list:?} changed, {listeners} listening"))])
    }

    /// What of a filter is served.
    pub(crate) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
        let mut accepted = SubscriptionFilter::new();
        accepted.tools_list_changed = requested.tools_list_changed;
        accepted.prompts_list_changed = requested.prompts_list_changed;
        accepted
    }

    /// Tells one subscription until it ends; what it did not ask for is held back by its sink.
    pub(crate) async fn tell(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.told.subscribe();
        let wants = |wanted: Option<bool>| wanted == Some(true);
        let (tools, prompts) = (wants(context.accepted().tools_list_changed), wants(context.accepted().prompts_list_changed));
        loop {
            let list = tokio::select! {
                () = context.cancelled() => return Ok(()),
                list = changes.recv() => list,
            };
            let sent = match list {
                Ok(List::Tools) if tools => context.sink().notify_tool_list_changed().await,
                Ok(List::Prompts) if prompts => context.sink().notify_prompt_list_changed().await,
                Ok(_) | Err(RecvError::Lagged(_)) => Ok(()),
                Err(RecvError::Closed) => return Ok(()),
            };
            sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        }
    }
}
