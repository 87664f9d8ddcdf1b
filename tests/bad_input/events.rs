//! Floods, repeats, endless sessions and mad clocks.

use std::collections::BTreeMap;

use onshelf_core::event::EventKind;
use onshelf_core::quality::Rules;
use onshelf_model::personal::Facts;
use onshelf_model::shopper::{Restored, SESSION_LIMIT, Shopper, Tracked};
use pollster::block_on;

use crate::shop::*;

#[test]
fn ten_thousand_clicks_in_a_second_do_no_harm() {
    let mut s = shopper();
    let mut left_out = BTreeMap::<&str, usize>::new();
    for n in 0..10_000_i64 {
        let id = format!("i{}", n % ITEMS as i64 + 1);
        if let Tracked::LeftOut(reason) = view(&mut s, &id, NOON + n / 10) {
            *left_out.entry(reason).or_default() += 1;
        }
    }
    assert!(s.clicks().len() <= 30, "{} clicks kept", s.clicks().len());
    assert_eq!(s.clicks().len() + left_out.values().sum::<usize>(), 10_000);
    assert!(left_out["flood"] > 9_900, "{left_out:?}");
    assert_eq!(ask(&mut s, &shelf(20)).len(), 20);
    // Whoever did that is a robot for the rest of the session, as in the logs; the next one is heard.
    assert_eq!(view(&mut s, "i7", NOON + 2 * MINUTE), Tracked::LeftOut("robot"));
    assert_eq!(view(&mut s, "i7", NOON + 40 * MINUTE), Tracked::Accepted);
    assert_eq!(s.clicks().len(), 1);
}

#[test]
fn after_a_short_flood_a_person_is_heard() {
    let mut s = shopper();
    for n in 0..150_i64 {
        view(&mut s, &format!("i{}", n % ITEMS as i64 + 1), NOON + n);
    }
    assert_eq!(view(&mut s, "i7", NOON + MINUTE), Tracked::Accepted);
}

#[test]
fn one_item_ten_thousand_times_is_one_click() {
    let mut s = shopper();
    let accepted = (0..10_000_i64).filter(|n| view(&mut s, "i4", NOON + n / 10) == Tracked::Accepted).count();
    assert_eq!((accepted, s.clicks().len()), (1, 1));
}

#[test]
fn a_long_session_is_bounded() {
    let mut s = shopper();
    let robot = Rules::default().max_clicks_per_session as i64;
    for n in 0..1000_i64 {
        let tracked = view(&mut s, &format!("i{}", n % 50 + 1), NOON + n * 2_000);
        assert_eq!(
            tracked,
            if n < robot { Tracked::Accepted } else { Tracked::LeftOut("robot") },
            "click {n}"
        );
        if n % 100 == 99 {
            block_on(s.fine_tune(1)).unwrap();
        }
    }
    assert_eq!(s.clicks().len(), SESSION_LIMIT);
    assert_eq!(ask(&mut s, &shelf(20)).len(), 20);
    assert!(s.export_state().unwrap().len() < 64 * 1024);
}

#[test]
fn bounces_are_left_out_but_purchases_never_are() {
    let mut s = shopper();
    assert_eq!(s.track("i1", EventKind::ViewItem, Some(100), NOON), Tracked::LeftOut("bounce"));
    assert_eq!(s.track("i1", EventKind::Purchase, Some(100), NOON + 1), Tracked::Accepted);
    assert_eq!(s.track("i1", EventKind::ViewItem, Some(u32::MAX), NOON + 5000), Tracked::Accepted);
}

#[test]
fn a_clock_may_go_backwards_or_mad() {
    let mut s = shopper();
    let times = [NOON, NOON - 86_400_000, NOON - 86_400_000 + 1, i64::MAX, i64::MIN, -1, 0, NOON];
    for (n, at) in times.into_iter().enumerate() {
        view(&mut s, &format!("i{}", n + 1), at);
        assert!(ask(&mut s, &shelf(5)).iter().all(|l| l.1.is_finite()), "after time {at}");
        block_on(s.fine_tune(1)).unwrap();
    }
    let state = s.export_state().unwrap();
    assert_eq!(shopper().import_state(&state), Ok(Restored::Everything));
}

#[test]
fn going_backwards_ends_no_session_and_a_long_silence_does() {
    let mut s = shopper();
    view(&mut s, "i1", NOON);
    view(&mut s, "i2", NOON - 5 * 3_600_000);
    assert_eq!(s.clicks().len(), 2);
    view(&mut s, "i3", NOON - 5 * 3_600_000 + 31 * MINUTE);
    assert_eq!(s.clicks().len(), 1);
}

/// What was learned, as bytes.
fn lessons(s: &Shopper) -> (Vec<u8>, Facts) {
    (s.personal().to_weights().to_safetensors().unwrap(), s.personal().facts())
}

/// Learns from what is heard, as the worker does.
fn heard(s: &mut Shopper, id: &str, dwell_ms: Option<u32>, at: i64) -> Tracked {
    let tracked = s.track(id, EventKind::ViewItem, dwell_ms, at);
    if tracked == Tracked::Accepted {
        block_on(s.fine_tune(1)).unwrap();
    }
    tracked
}

#[test]
fn bounces_and_double_clicks_do_not_teach() {
    let (mut calm, mut clumsy) = (shopper(), shopper());
    for (n, id) in ["i5", "i17", "i6", "i30", "i2", "i9"].into_iter().enumerate() {
        let at = NOON + n as i64 * MINUTE;
        for s in [&mut calm, &mut clumsy] {
            assert_eq!(heard(s, id, Some(5000), at), Tracked::Accepted);
        }
        assert_eq!(heard(&mut clumsy, id, Some(5000), at + 300), Tracked::LeftOut("duplicate"));
        assert_eq!(heard(&mut clumsy, "i41", Some(200), at + 20_000), Tracked::LeftOut("bounce"));
        assert_eq!(heard(&mut clumsy, "no such item", None, at + 30_000), Tracked::LeftOut("unknown_item"));
    }
    assert!(calm.personal().steps > 0 && calm.personal().guard.clicks > 0);
    assert!(lessons(&calm) == lessons(&clumsy), "a mis-click taught something");
}

#[test]
fn floods_and_robots_do_not_teach() {
    let (mut quick, mut flood) = (shopper(), shopper());
    let item = |n: i64| format!("i{}", n * 7 % ITEMS as i64 + 1);
    for s in [&mut quick, &mut flood] {
        for n in 0..30 {
            assert_eq!(heard(s, &item(n), None, NOON + n * 20), Tracked::Accepted);
        }
    }
    for n in 30..1000 {
        assert_eq!(
            heard(&mut flood, &item(n), None, NOON + 600 + n * 9),
            Tracked::LeftOut("flood"),
            "event {n}"
        );
    }
    assert!(quick.personal().steps > 0);
    assert!(lessons(&quick) == lessons(&flood), "a flood taught something");
    // Whoever did that is a robot; nothing that comes before half an hour of silence teaches.
    for n in 0..40 {
        let at = NOON + (n + 1) * MINUTE;
        assert_eq!(heard(&mut flood, &item(n), Some(9000), at), Tracked::LeftOut("robot"));
    }
    assert!(lessons(&quick) == lessons(&flood), "a robot taught something");
    assert_eq!(heard(&mut flood, "i3", None, NOON + 120 * MINUTE), Tracked::Accepted);
}

#[test]
fn left_out_clicks_of_many_visits_make_no_robot() {
    let mut s = shopper();
    // One mis-click a day, for most of a year: each visit is a session of its own.
    for day in 0..250 {
        let at = NOON + day * 24 * 60 * MINUTE;
        assert_eq!(
            s.track("i1", EventKind::ViewItem, Some(100), at),
            Tracked::LeftOut("bounce"),
            "day {day}"
        );
    }
    assert_eq!(view(&mut s, "i2", NOON + 250 * 24 * 60 * MINUTE), Tracked::Accepted);
}
