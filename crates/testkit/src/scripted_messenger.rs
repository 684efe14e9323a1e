//! A messenger that does what a test tells it to.
