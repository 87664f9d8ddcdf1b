use onshelf_core::catalogue::{CatalogueBuilder, ItemAttributes};
use onshelf_core::event::EventKind;

use super::*;

fn sample(has_times: bool) -> Dataset {
    let mut builder = CatalogueBuilder::new();
    for id in ["a", "b", "c"] {
        builder.push(id, ItemAttributes::default(), true).unwrap();
    }
    let view = |item: u32| (item, EventKind::ViewItem, i64::from(item) * 1_000);
    let mut sessions = Sessions::new(has_times);
    sessions.push(0, [view(1), view(2)]).unwrap();
    sessions.push(0, [view(2), view(2)]).unwrap();
    sessions.push(2, [view(3), (1, EventKind::Purchase, 9_000)]).unwrap();
    Dataset {
        catalogue: builder.finish().unwrap(),
        sessions,
        origin: Origin { name: "sample".into(), ..Origin::default() },
    }
}

#[test]
fn what_is_streamed_is_what_safetensors_would_write() {
    for has_times in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let data = sample(has_times);
        data.save(dir.path()).unwrap();
        assert!(fs::read(dir.path().join(SESSIONS)).unwrap() == data.sessions.to_bytes().unwrap());
    }
}

#[test]
fn what_is_not_finished_leaves_the_old_data_set_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let data = sample(true);
    data.save(dir.path()).unwrap();
    let shape = Shape { sessions: 2, clicks: 3, has_times: true };
    let mut writer = DatasetWriter::create(dir.path(), &data.catalogue, shape).unwrap();
    writer.push(0, &[1, 2], &[EventKind::ViewItem; 2], &[5, 6]).unwrap();
    assert!(writer.finish().is_err(), "a session is missing");
    assert!(Dataset::load(dir.path()).is_ok());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary file stays");
}

#[test]
fn what_is_saved_is_loaded() {
    for has_times in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let saved = sample(has_times);
        saved.save(dir.path()).unwrap();
        let loaded = Dataset::load(dir.path()).unwrap();
        assert_eq!(loaded.sessions, saved.sessions);
        assert_eq!(loaded.origin, saved.origin);
        assert!(loaded.catalogue == saved.catalogue);
        let info = Dataset::info(dir.path()).unwrap();
        assert_eq!((info.items, info.sessions, info.clicks), (3, 3, 6));
        assert_eq!(info.periods, saved.periods());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary file stays");
    }
}

#[test]
fn the_same_data_set_gives_the_same_bytes() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    sample(true).save(a.path()).unwrap();
    sample(true).save(b.path()).unwrap();
    for name in [CATALOGUE, SESSIONS, INFO] {
        assert!(fs::read(a.path().join(name)).unwrap() == fs::read(b.path().join(name)).unwrap());
    }
}

#[test]
fn sessions_are_reached_by_number_and_period() {
    let data = sample(true);
    let sessions = &data.sessions;
    assert_eq!(sessions.session(2), [3, 1]);
    assert_eq!(sessions.kinds(2), [EventKind::ViewItem, EventKind::Purchase]);
    assert_eq!(sessions.times(1), Some(&[2_000, 2_000][..]));
    assert_eq!(sample(false).sessions.times(1), None);
    assert_eq!((sessions.period(1), sessions.period(2)), (0, 2));
    assert_eq!(sessions.in_period(0), 0..2);
    assert!(sessions.in_period(1).is_empty());
    assert_eq!(sessions.before_period(2), 0..2);
    let periods: Vec<_> = sessions.by_period().collect();
    assert_eq!(periods, [(0, 0..2), (2, 2..3)]);
    let infos = data.periods();
    assert_eq!((infos[0].new_items, infos[1].new_items), (2, 1));
    assert_eq!(infos[1].span_ms, Some((3_000, 9_000)));
}

#[test]
fn a_changed_file_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    sample(true).save(dir.path()).unwrap();
    for name in [CATALOGUE, SESSIONS] {
        let path = dir.path().join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        fs::write(&path, bad).unwrap();
        let message = Dataset::load(dir.path()).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("SHA-256"), "{message}");
        fs::write(&path, good).unwrap();
    }
    assert!(Dataset::load(dir.path()).is_ok());
}

#[test]
fn a_newer_format_asks_for_an_update() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(INFO), r#"{"format":2,"shape":"new"}"#).unwrap();
    let message = Dataset::load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("update onshelf"), "{message}");
    let nowhere = Dataset::load(&dir.path().join("nowhere")).unwrap_err().to_string();
    assert!(nowhere.contains("onshelf prepare"), "{nowhere}");
}
