//! What the checks say about each backend.
