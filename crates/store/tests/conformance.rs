//! The one suite, on every store.

mod support;

mod sqlite {
    testkit::store_conformance!(crate::support::on_sqlite);
}

mod postgres {
    testkit::store_conformance!(crate::support::on_postgres);
}

mod memory {
    testkit::store_conformance!(crate::support::in_memory);
}
