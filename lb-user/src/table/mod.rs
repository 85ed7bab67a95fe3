//! Which group owns which slot.
