use super::*;

fn view(item: u32, at_ms: i64) -> Click {
    Click::at(item, EventKind::ViewItem, at_ms)
}

fn verdicts(clicks: &[Click], rules: Rules) -> Vec<Verdict> {
    let mut gate = Gate::new(rules);
    clicks.iter().map(|click| gate.judge(click)).collect()
}

#[test]
fn a_double_click_is_one_click() {
    use Verdict::{Accept, Duplicate};
    let clicks = [view(1, 0), view(1, 300), view(1, 5_000), view(2, 5_100)];
    assert_eq!(verdicts(&clicks, Rules::default()), [Accept, Duplicate, Accept, Accept]);
}

#[test]
fn a_tracker_that_fires_both_kinds_twice_is_seen_through() {
    use Verdict::{Accept, Duplicate};
    let select = |at| Click::at(1, EventKind::SelectItem, at);
    let clicks = [select(0), view(1, 10), select(20), view(1, 30)];
    assert_eq!(verdicts(&clicks, Rules::default()), [Accept, Accept, Duplicate, Duplicate]);
}

#[test]
fn without_a_clock_repeats_are_kept_unless_asked() {
    use Verdict::{Accept, Duplicate};
    let clicks = [Click::view(1), Click::view(1), Click::view(2), Click::view(1)];
    assert_eq!(verdicts(&clicks, Rules::default()), [Accept; 4]);
    let rules = Rules { consecutive_is_duplicate: true, ..Rules::default() };
    assert_eq!(verdicts(&clicks, rules), [Accept, Duplicate, Accept, Accept]);
}

#[test]
fn searches_are_never_duplicates() {
    let search = Click::at(0, EventKind::Search, 0);
    assert_eq!(verdicts(&[search, search], Rules::default()), [Verdict::Accept; 2]);
}

#[test]
fn ten_thousand_clicks_in_a_second_are_a_flood_and_a_robot() {
    let clicks: Vec<_> = (0..10_000).map(|i| view(i + 1, i64::from(i) / 10)).collect();
    let mut gate = Gate::new(Rules::default());
    let accepted = clicks.iter().filter(|click| gate.judge(click) == Verdict::Accept).count();
    assert_eq!(accepted, 30);
    assert!(gate.is_robot());
    assert!(gate.moments.len() <= 30 && gate.recent.len() <= DUPLICATE_MEMORY);

    let verdict = judge_session(&clicks, &Rules::default());
    assert!(verdict.robot);
    assert!(verdict.keep.iter().all(|keep| !keep));
    assert_eq!(verdict.reasons.get(Reason::Robot), 10_000);
    assert_eq!(verdict.reasons.total(), 10_000);
}

#[test]
fn a_flood_ends_when_the_shopper_slows_down() {
    let mut clicks: Vec<_> = (0..40).map(|i| view(i + 1, i64::from(i) * 10)).collect();
    clicks.push(view(50, 60_000));
    let verdict = judge_session(&clicks, &Rules::default());
    assert_eq!(verdict.reasons.get(Reason::Flood), 10);
    assert!(verdict.keep[29] && !verdict.keep[30] && verdict.keep[40]);
}

#[test]
fn three_clicks_a_second_is_the_limit() {
    let steady = |gap: i64| -> Vec<_> { (0..100).map(|i| view(i + 1, i64::from(i) * gap)).collect() };
    let floods = |gap| judge_session(&steady(gap), &Rules::default()).reasons.get(Reason::Flood);
    assert_eq!(floods(334), 0);
    assert_eq!(floods(333), 70);
}

#[test]
fn only_short_views_bounce() {
    use Verdict::{Accept, Bounce};
    let left_after = |kind, dwell_ms| Click { kind, dwell_ms, ..Click::view(1) };
    let clicks = [
        left_after(EventKind::ViewItem, Some(799)),
        left_after(EventKind::ViewItem, Some(800)),
        left_after(EventKind::ViewItem, None),
        left_after(EventKind::AddToCart, Some(1)),
    ];
    assert_eq!(verdicts(&clicks, Rules::default()), [Bounce, Accept, Accept, Accept]);
}

#[test]
fn a_session_of_two_hundred_is_a_persons() {
    let session = |n: u32| -> Vec<_> { (0..n).map(|i| view(i + 1, i64::from(i) * 5_000)).collect() };
    assert!(!judge_session(&session(200), &Rules::default()).robot);
    assert!(judge_session(&session(201), &Rules::default()).robot);
    assert!(!judge_session(&session(201), &Rules::off()).robot);
}

#[test]
fn double_firing_does_not_make_a_robot() {
    let clicks: Vec<_> =
        (0..300).map(|i| view(i / 2 + 1, i64::from(i / 2) * 5_000 + i64::from(i % 2))).collect();
    let verdict = judge_session(&clicks, &Rules::default());
    assert!(!verdict.robot);
    assert_eq!(verdict.reasons.get(Reason::Duplicate), 150);
}

#[test]
fn a_clock_set_back_neither_floods_nor_overflows() {
    let mut gate = Gate::new(Rules::default());
    for i in 0..30 {
        let at = 1_700_000_000_000 + i64::from(i) * 5_000;
        assert_eq!(gate.judge(&view(i + 1, at)), Verdict::Accept);
    }
    for i in 0..30 {
        let at = 1_600_000_000_000 + i64::from(i) * 5_000;
        assert_eq!(gate.judge(&view(i + 100, at)), Verdict::Accept);
    }
    for at in [i64::MIN, i64::MAX, i64::MIN, i64::MAX, 0] {
        let _ = gate.judge(&view(1, at));
    }
}

#[test]
fn switched_off_rules_accept_everything() {
    let click = Click { dwell_ms: Some(1), ..view(1, 0) };
    let verdict = judge_session(&vec![click; 1_000], &Rules::off());
    assert!(verdict.keep.iter().all(|keep| *keep));
    assert_eq!(verdict.reasons.total(), 0);
}

#[test]
fn reasons_have_stable_names() {
    assert_eq!(Reason::ALL.map(Reason::as_str), ["duplicate", "flood", "bounce", "robot"]);
}
