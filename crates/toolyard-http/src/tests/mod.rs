//! What the server does, seen by a client.

mod calls;
mod end;
mod eras;
mod limits;
mod operations;
mod routes;
mod sse;
mod start;
mod tls;
mod tokens;
mod unix;
