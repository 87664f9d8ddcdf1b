use std::collections::{HashMap, HashSet};

use super::*;
use crate::prepare::{self, PrepareOptions, QualityReport};
use crate::progress::Silent;

fn small(seed: u64) -> SimulateOptions {
    SimulateOptions { products: 600, shoppers: 800, days: 28, seed }
}

fn prepared(options: &SimulateOptions) -> (Simulated, QualityReport) {
    let folder = tempfile::tempdir().unwrap();
    let simulated = run(options, folder.path(), &Silent).unwrap();
    let mut prepare = PrepareOptions::new(folder.path().join("clicks.csv"), folder.path().join("data"));
    prepare.items = Some(folder.path().join("items.csv"));
    prepare.period_days = Some(7);
    (simulated, prepare::run(&prepare, &Silent).unwrap())
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = |seed| {
        let folder = tempfile::tempdir().unwrap();
        run(&small(seed), folder.path(), &Silent).unwrap();
        ["products.json", "items.csv", "clicks.csv"].map(|name| fs::read(folder.path().join(name)).unwrap())
    };
    let first = folder(3);
    assert!(first == folder(3));
    let other = folder(4);
    assert!(first.iter().zip(&other).all(|(a, b)| a != b));
}

#[test]
fn the_filters_find_what_was_planted() {
    let (simulated, report) = prepared(&small(5));
    let planted = simulated.planted;
    let found = |reason: &str| report.filtered.get(reason).copied().unwrap_or(0) as usize;
    assert_eq!(report.rows as usize, simulated.events);
    assert!(report.quarantined.is_empty());
    assert_eq!(report.robot_sessions, planted.robot_sessions);
    assert_eq!(found("robot"), planted.robot_events);
    assert_eq!(found("bounce"), planted.bounces);
    // Among its many random products a flood may have the same one twice.
    let extra = found("duplicate") - planted.duplicates;
    assert!(extra <= planted.flood_sessions * 3, "{extra} too many duplicates");
    let passed = planted.flood_events - found("flood");
    assert!(passed <= planted.flood_sessions * 30, "{passed} of a flood passed");
}

#[test]
fn the_products_file_is_what_the_demo_reads() {
    let folder = tempfile::tempdir().unwrap();
    run(&small(1), folder.path(), &Silent).unwrap();
    let bytes = fs::read(folder.path().join("products.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((&file["shop"], &file["currency"]), (&"Marlow & Finch".into(), &"EUR".into()));
    let products = file["products"].as_array().unwrap();
    assert_eq!(products.len(), 600);
    let fields = ["item_id", "name", "brand", "category", "price", "stock", "colour", "pattern"];
    for product in products {
        let product = product.as_object().unwrap();
        assert_eq!(product.len(), fields.len());
        assert!(fields.iter().all(|field| product.contains_key(*field)));
        assert_eq!(product["category"].as_array().unwrap().len(), 3);
        assert!(product["price"].as_f64().unwrap() >= 2.0);
    }
    let departments: HashSet<_> = products.iter().map(|p| p["category"][0].as_str()).collect();
    assert_eq!(departments.len(), 10);
    let sold_out = products.iter().filter(|p| p["stock"] == 0).count();
    assert!((6..60).contains(&sold_out), "{sold_out} of 600 sold out");
    let names: HashSet<_> = products.iter().map(|p| p["name"].as_str()).collect();
    assert!(names.len() > 590, "{} different names", names.len());
}

#[test]
fn the_default_shop_has_the_promised_size() {
    let shop = generate(&SimulateOptions::default(), &Silent).unwrap();
    assert!((36_000..44_000).contains(&shop.sessions), "{} sessions", shop.sessions);
    assert!((180_000..230_000).contains(&shop.rows.len()), "{} events", shop.rows.len());
    assert!(shop.rows.is_sorted_by_key(|row| row.time_ms));
}

#[test]
fn nothing_is_looked_at_before_it_arrives_and_new_things_are() {
    let (_, report) = prepared(&small(2));
    let later: usize = report.periods[1..].iter().map(|period| period.new_items).sum();
    assert!(later > 30, "{later} items appear after the first week");
}

/// The views of each session of people in time order, with the day of the first.
fn view_sessions(shop: &Shop) -> Vec<(i64, Vec<u32>)> {
    let mut sessions: HashMap<u32, (i64, Vec<u32>)> = HashMap::new();
    for (row, product) in views(shop) {
        let day = (row.time_ms - START_MS) / DAY_MS;
        sessions.entry(row.session).or_insert((day, Vec::new())).1.push(product);
    }
    let mut sessions: Vec<_> = sessions.into_values().collect();
    sessions.retain(|(_, views)| views.len() < FLOOD_EVENTS);
    sessions
}

/// The 20 most frequent.
fn top(counts: &HashMap<u32, u32>) -> HashSet<u32> {
    let mut ranked: Vec<_> = counts.iter().map(|(&product, &n)| (n, product)).collect();
    ranked.sort_unstable();
    ranked.into_iter().rev().take(20).map(|(_, product)| product).collect()
}

#[test]
fn what_was_viewed_last_tells_what_comes_next() {
    let shop = generate(&small(1), &Silent).unwrap();
    let (mut popular, mut after) = (HashMap::new(), HashMap::<u32, HashMap<u32, u32>>::new());
    let sessions = view_sessions(&shop);
    for (_, views) in sessions.iter().filter(|(day, _)| *day < 21) {
        for pair in views.windows(2) {
            *popular.entry(pair[1]).or_default() += 1;
            *after.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1;
        }
    }
    let popular = top(&popular);
    let after: HashMap<u32, HashSet<u32>> = after.iter().map(|(&p, n)| (p, top(n))).collect();
    let (mut by_popularity, mut by_last, mut pairs) = (0, 0, 0);
    for (_, views) in sessions.iter().filter(|(day, _)| *day >= 21) {
        for pair in views.windows(2) {
            by_popularity += usize::from(popular.contains(&pair[1]));
            by_last += usize::from(after.get(&pair[0]).is_some_and(|top| top.contains(&pair[1])));
            pairs += 1;
        }
    }
    assert!(
        by_last > by_popularity * 3 && by_last * 3 > pairs,
        "of {pairs} next views {by_last} by the last view, {by_popularity} by popularity"
    );
}

#[test]
fn both_other_layouts_are_read_back() {
    let shop = generate(&small(1), &Silent).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rsc15 = folder.path().join("rsc15.txt");
    let periods = folder.path().join("periods");
    write_rsc15(&shop, &rsc15).unwrap();
    write_period_layout(&shop, &periods).unwrap();
    let rows = views(&shop).count() as u64;
    for (input, count) in [(rsc15, 1), (periods, 4)] {
        let options = PrepareOptions::new(input, folder.path().join("data"));
        let report = prepare::run(&options, &Silent).unwrap();
        assert_eq!(report.rows, rows);
        assert!(report.periods.len() >= count, "{:?}", report.periods);
    }
}

#[test]
fn sizes_out_of_range_are_refused() {
    for options in [
        SimulateOptions { products: 119, ..small(1) },
        SimulateOptions { shoppers: 0, ..small(1) },
        SimulateOptions { days: 0, ..small(1) },
    ] {
        assert!(generate(&options, &Silent).is_err());
    }
}

#[test]
fn parquet_holds_the_same_clicks() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for _ in 0..2 {
        let csv = run(&small(6), folder.path(), &Silent).unwrap();
        assert_eq!(run_as(Format::Parquet, &small(6), folder.path(), &Silent).unwrap(), csv);
    }
    let data = |input: &str| {
        let mut options = PrepareOptions::new(at(input), at("data"));
        options.period_days = Some(7);
        options.memory = 100_000;
        prepare::run(&options, &Silent).unwrap();
        ["sessions.safetensors", "catalogue.json"].map(|name| fs::read(at("data").join(name)).unwrap())
    };
    assert!(data("clicks.csv") == data("clicks"));
    let hidden = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    assert!(!fs::read_dir(folder.path()).unwrap().any(|entry| hidden(entry.unwrap())));
}

#[test]
fn what_is_streamed_is_what_is_generated() {
    let folder = tempfile::tempdir().unwrap();
    run(&small(7), folder.path(), &Silent).unwrap();
    let shop = generate(&small(7), &Silent).unwrap();
    let text = fs::read_to_string(folder.path().join("clicks.csv")).unwrap();
    let rows: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(rows.len(), shop.rows.len());
    for (line, row) in rows.into_iter().zip(&shop.rows) {
        let fields: Vec<_> = line.split(',').collect();
        let item = row.product.map_or("", |product| &shop.products[product as usize].item_id);
        assert_eq!(fields[0], format!("s{:06}", row.session + 1));
        assert_eq!((fields[2], fields[3]), (item, row.kind.as_str()));
        assert_eq!(fields[4], row.time_ms.to_string());
    }
}
