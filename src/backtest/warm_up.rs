//! Whether engines are warm where trading begins.

use levibot_core::domain::Ts;
use levibot_core::driver::WARM_UP_BARS;
use levibot_core::engine::StrategyPolicy;

use super::grid::Grid;
use super::policy;
use super::trial::Ground;

/// Says, in words, when a policy looks back further than engines are warmed up on before a start at `from`: then a part of it is
/// unknown there for a while, as it is in a daemon that starts or takes other parameters. `None` where all are warm, or where there
/// is nothing before the start that one could be warmed up on.
pub(super) fn note(ground: &Ground<'_>, grid: Option<&Grid<'_>>, from: Option<Ts>) -> Option<String> {
    let first = ground.market.symbols.iter().filter_map(|one| one.bars.first()).map(|bar| bar.open_ts).min()?;
    from.filter(|from| *from > first)?;
    // What is the same for all symbols is looked at once.
    let mut policies: Vec<&StrategyPolicy> = ground.policies.iter().collect();
    policies.dedup_by_key(|one| one.hash());
    let bars = |at: usize| {
        let point = grid.map_or_else(Vec::new, |grid| grid.point(at));
        policies.iter().filter_map(|one| policy::with(one, &point).ok()).map(|one| one.warm_up_bars()).max()
    };
    let wanted = (0..grid.map_or(1, Grid::len)).filter_map(bars).max()?;
    (wanted > WARM_UP_BARS).then(|| {
        format!(
            "the policy looks back {wanted} bars and is warmed up on {WARM_UP_BARS}, as a daemon warms it up at each start: what \
             looks back further is unknown on the first {} bars of every range, and nothing is entered on it",
            wanted - WARM_UP_BARS
        )
    })
}
