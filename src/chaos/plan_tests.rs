use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn wishes(seed: u64) -> Wishes {
    let blows = Fault::ALL.into_iter().map(Blow::Fault).chain([Blow::Kill]).collect();
    Wishes {
        seed,
        length_ms: 1_200_000,
        engines: 15,
        blows,
        per_minute: 4.0,
        failures_max: 5,
        window_ms: 60_000,
        seen_ms: 5_000,
        bursts: 5,
        model_kills: 3,
        daemon_kills: 2,
    }
}

fn of_engine(planned: &[Planned], place: usize) -> Vec<u64> {
    let hit = |p: &&Planned| matches!(p.strike, Strike::Engine(of, _) if of == place);
    planned.iter().filter(hit).map(|p| p.at_ms).collect()
}

#[test]
fn the_same_seed_is_the_same_storm_and_another_is_another() {
    assert_eq!(plan(&wishes(7)), plan(&wishes(7)));
    assert_ne!(plan(&wishes(7)), plan(&wishes(8)));
}

#[test]
fn every_blow_comes_as_often_as_any_other() {
    let mut counts = BTreeMap::<Blow, u32>::new();
    for planned in plan(&wishes(1)) {
        if let Strike::Engine(_, blow) = planned.strike {
            *counts.entry(blow).or_default() += 1;
        }
    }
    assert_eq!(counts.len(), 17);
    let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    assert!(*least > 30 && most - least <= 1, "{counts:?}");
}

#[test]
fn bursts_and_kills_are_as_many_as_wished_and_have_room() {
    let planned = plan(&wishes(3));
    let times =
        |is: fn(&Strike) -> bool| -> Vec<u64> { planned.iter().filter(|p| is(&p.strike)).map(|p| p.at_ms).collect() };
    let daemon = times(|s| matches!(s, Strike::Daemon));
    assert_eq!(daemon.len(), 2);
    assert_eq!(times(|s| matches!(s, Strike::Burst(_))).len(), 5);
    assert_eq!(times(|s| matches!(s, Strike::Model)).len(), 3);
    for kill in daemon {
        let near = |p: &&Planned| p.strike != Strike::Daemon && p.at_ms.abs_diff(kill) < DAEMON_QUIET_MS_MAX;
        assert_eq!(planned.iter().filter(near).count(), 0);
    }
    for burst in &planned {
        let Strike::Burst(place) = burst.strike else { continue };
        let after = of_engine(&planned, place).into_iter().find(|at| *at >= burst.at_ms);
        assert!(after.is_none_or(|at| at >= burst.at_ms + 60_000), "{after:?} {burst:?}");
    }
    assert!(planned.first().unwrap().at_ms >= 30_000 && planned.last().unwrap().at_ms < 1_185_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_window_holds_a_quarantine_and_the_rate_is_kept(
        seed: u64,
        engines in 1_usize..20,
        minutes in 1_u64..30,
        per_minute in 0.5..30.0_f64,
        failures_max in 2_u32..8,
        window_s in 1_u64..120,
    ) {
        let wishes = Wishes {
            engines,
            length_ms: minutes * 60_000,
            per_minute,
            failures_max,
            window_ms: window_s * 1_000,
            daemon_kills: 0,
            bursts: 0,
            ..wishes(seed)
        };
        let planned = plan(&wishes);
        prop_assert!(planned.is_sorted_by_key(|p| p.at_ms));
        let most = failures_max as usize - 1;
        let minutes_hit = (wishes.last_ms() - wishes.calm_ms()) as f64 / 60_000.0;
        for place in 0..engines {
            let hits = of_engine(&planned, place);
            for pair in hits.windows(most + 1) {
                // Each failure may be seen up to `seen_ms` after its strike, the next one at once.
                prop_assert!(pair[most] - pair[0] >= wishes.window_ms + wishes.seen_ms);
            }
            let bound = (per_minute / 0.8).min(60_000.0 * most as f64 / (wishes.window_ms + wishes.seen_ms) as f64);
            prop_assert!(hits.len() as f64 <= minutes_hit * bound + most as f64 + 1.0);
            let wanted = (per_minute / 1.2).min(60_000.0 * most as f64 / (wishes.window_ms + wishes.seen_ms) as f64 / 1.2);
            prop_assert!(hits.len() as f64 >= (minutes_hit * wanted).floor() - 2.0 - most as f64, "{} {wanted} {minutes_hit}", hits.len());
        }
    }
}

#[test]
fn kills_go_round_and_leave_each_engine_its_healthy_time() {
    let planned = kills(40, 15, 60_000);
    assert_eq!(planned.len(), 40);
    assert!(planned[0].at_ms > 60_000);
    for pair in planned.iter().zip(&planned[15..]) {
        assert_eq!(pair.0.strike, pair.1.strike);
        assert!(pair.1.at_ms - pair.0.at_ms >= 60_000, "{pair:?}");
    }
}
