//! Random sequences of verbs against a plain model of the states.
