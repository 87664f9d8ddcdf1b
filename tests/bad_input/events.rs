//! Floods, repeats, endless sessions and mad clocks.

use std::collections::BTreeMap;

use onshelf_core::event::EventKind;
use onshelf_core::quality::Rules;
use onshelf_model::shopper::{Restored, SESSION_LIMIT, Tracked};
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
