//! The router: the table of routes, the central fallback, and one layer around both.

use axum::Router;

use crate::edge::EdgeLayer;
use crate::fallback;
use crate::routes::Route;
use crate::state::AppState;
use crate::{dashboard, docs, media, native, nodes, portal, system};

/// Everything the server answers.
pub fn router(state: AppState) -> Router {
    let mut router = Router::new();
    for route in all_routes(&state) {
        router = router.route(route.path, route.handler);
    }
    let router = router
        .merge(dashboard::router(&state))
        .fallback(fallback::unknown_path)
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(EdgeLayer::new(state.clone()))
        .with_state(state.clone());
    match state.config().node_key {
        Some(_) => nodes::routes(state, router),
        None => router,
    }
}

/// The table: the routes of every API that is served.
pub fn all_routes(state: &AppState) -> Vec<Route> {
    state.apis().iter().flat_map(|api| (api.routes)()).collect()
}

/// The routes that belong to no dialect. All of them answer errors as problems.
pub fn own_routes() -> Vec<Route> {
    let routes =
        [native::routes(), media::routes(), portal::routes(), system::routes(), docs::routes()];
    routes.into_iter().flatten().map(Route::errors_as_problems).collect()
}
