//! What every Toolyard tool is made of: the tool trait, the one dispatch, guarded filesystem
//! access, audit, limits, budgets and errors.
//!
//! A tool is a type that implements [`Tool`]; a [`Dispatcher`] owns all of them and is the only
//! way to call one. Every call is parsed, its accesses are judged by the policy, written to the
//! audit trail, and run with a deadline, cancellation and panic isolation.

mod answer;
mod approval;
pub mod audit;
mod budget;
mod clock;
mod context;
mod dispatch;
mod error;
mod granted;
pub mod guard;
mod input;
mod limits;
pub mod net;
mod observe;
mod schema;
mod seal;
pub mod text;
mod tool;

pub use answer::{Answer, Block, Trailer};
pub use approval::{Approval, ApprovalFallback, ApprovalRequest, Approver, NoApprover};
pub use budget::Budget;
pub use clock::rfc3339_seconds;
pub use context::{Context, Principal, Progress, Stop};
pub use dispatch::{BuildError, CallError, CallOutcome, Dispatcher, DispatcherBuilder, Explanation, ListedTool};
pub use error::{ErrorKind, ToolError};
pub use granted::{EntryPolicy, Granted};
pub use limits::Limits;
pub use observe::{Decided, Finished, NoObserver, Observer};
pub use seal::{SealError, Sealer};
pub use tool::{Tool, ToolDefinition, Toolset};
pub use toolyard_policy::{Access, Effect, PathResource, Resource};
