//! The router: the table of routes, the central fallback, and one layer around both.

use axum::Router;

use crate::edge::EdgeLayer;
use crate::fallback;
use crate::routes::Route;
use crate::state::AppState;
use crate::{docs, native, system};

/// Everything the server answers.
pub fn router(state: AppState) -> Router {
    let mut router = Router::new();
    for route in all_routes(&state) {
        router = router.route(route.path, route.handler);
    }
    router
        .fallback(fallback::unknown_path)
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(EdgeLayer::new(state.clone()))
        .with_state(state)
}

/// The table: our own routes and those of the dialects that are switched on.
pub fn all_routes(state: &AppState) -> Vec<Route> {
    let mut routes = own_routes();
    for dialect in &state.dialects {
        routes.extend((dialect.routes)());
    }
    routes
}

/// The routes that belong to no dialect.
pub fn own_routes() -> Vec<Route> {
    [native::routes(), system::routes(), docs::routes()].into_iter().flatten().collect()
}
