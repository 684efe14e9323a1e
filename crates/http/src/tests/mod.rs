//! Tests of the whole router.
