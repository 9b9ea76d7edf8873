//! What the server does, seen by a client.

mod eras;
