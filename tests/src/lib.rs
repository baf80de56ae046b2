//! What the whole-system scenarios share.
