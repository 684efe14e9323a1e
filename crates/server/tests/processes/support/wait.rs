//! Waiting for other processes: by asking again until a deadline.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(25);

/// Asks until there is an answer.
///
/// # Panics
/// After `seconds_max`, naming what was waited for.
pub async fn until<T, F>(what: impl Display, seconds_max: u64, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + Duration::from_secs(seconds_max);
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {seconds_max} s in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Lets a moment pass: for kills at random moments, where there is nothing to wait for.
pub async fn moment(moment: Duration) {
    tokio::time::sleep(moment).await;
}
