//! Which column of a table holds what.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use super::input::LogFile;
use super::{Layout, Source};

/// The fields of a log, with the column names that are taken without being told.
const LOG: [(&str, &[&str]); 6] = [
    ("session", &["session_id", "sessionid", "session", "user_session"]),
    ("user", &["user_id", "userid", "user", "visitor_id", "visitorid"]),
    ("item", &["item_id", "itemid", "item", "product_id", "productid", "sku"]),
    ("time", &["time", "timestamp", "ts", "event_time", "at_ms"]),
    ("event", &["event", "event_name", "event_type", "kind", "type"]),
    ("dwell", &["dwell_ms", "dwell"]),
];

/// The fields of an item table.
const ITEM: [(&str, &[&str]); 6] = [
    ("item", &["item_id", "itemid", "item", "product_id", "productid", "sku", "id"]),
    ("name", &["name", "item_name", "title"]),
    ("brand", &["brand", "item_brand"]),
    ("category", &["category", "categories", "item_category", "category_code"]),
    ("price", &["price"]),
    ("stock", &["stock"]),
];

/// Names of columns, as `session=SessionId,item=ItemId,time=Time`. Fields: session, user, item,
/// time, event, dwell in a log; item, name, brand, category, price, stock in an item table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnMap(BTreeMap<String, String>);

impl FromStr for ColumnMap {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut map = BTreeMap::new();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (field, column) =
                pair.split_once('=').with_context(|| format!("{pair:?} is not of the form field=column"))?;
            let field = field.trim();
            let known = LOG.iter().chain(&ITEM).any(|(name, _)| *name == field);
            ensure!(
                known,
                "unknown field {field:?}; known are session, user, item, time, event, dwell in a \
                 log and item, name, brand, category, price, stock in an item table"
            );
            map.insert(field.to_owned(), column.trim().to_owned());
        }
        Ok(Self(map))
    }
}

impl ColumnMap {
    /// The map of these pairs, for layouts whose columns are fixed.
    pub(super) fn fixed(pairs: &[(&str, &str)]) -> Self {
        let own = |(field, column): &(&str, &str)| ((*field).to_owned(), (*column).to_owned());
        Self(pairs.iter().map(own).collect())
    }

    fn names(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    fn find(&self, header: &[String], fields: &[(&str, &[&str])], field: &str) -> Result<Option<usize>> {
        let place = |name: &str| header.iter().position(|column| column == name);
        if let Some(name) = self.0.get(field) {
            return match place(name) {
                Some(at) => Ok(Some(at)),
                None => bail!("there is no column {name:?}; there are {}", header.join(", ")),
            };
        }
        let usual = fields.iter().find(|(name, _)| *name == field).map_or(&[][..], |(_, usual)| usual);
        let lower: Vec<_> = header.iter().map(|column| column.to_lowercase()).collect();
        Ok(usual.iter().find_map(|name| lower.iter().position(|column| column == name)))
    }
}

/// Where the fields of a log stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogColumns {
    /// The session, or the user when `by_user`.
    pub(super) owner: usize,
    pub(super) by_user: bool,
    /// The user that a session id belongs to, where both were named.
    pub(super) user: Option<usize>,
    pub(super) item: usize,
    pub(super) time: Option<usize>,
    pub(super) event: Option<usize>,
    pub(super) dwell: Option<usize>,
}

impl LogColumns {
    pub(super) fn find(map: &ColumnMap, header: &[String]) -> Result<Self> {
        let find = |field| map.find(header, &LOG, field);
        let missing = |field: &str| {
            format!(
                "no column is known as the {field}: say --columns {field}=NAME; there are {}",
                header.join(", ")
            )
        };
        let (session, user) = (find("session")?, find("user")?);
        Ok(Self {
            owner: session.or(user).with_context(|| missing("session"))?,
            by_user: session.is_none(),
            // A column that merely looks like a user may change when a shopper logs in.
            user: user.filter(|_| map.names("session") && map.names("user")),
            item: find("item")?.with_context(|| missing("item"))?,
            time: find("time")?,
            event: find("event")?,
            dwell: find("dwell")?,
        })
    }
}

/// The columns of a log's files: each may have them in another order, but all must have the same.
#[derive(Debug, Default)]
pub(super) struct Agreed(Option<LogColumns>);

impl Agreed {
    /// The columns of the next file.
    pub(super) fn find(&mut self, map: &ColumnMap, header: &[String], file: &LogFile) -> Result<LogColumns> {
        let columns = LogColumns::find(map, header).with_context(|| file.to_string())?;
        let kind = |columns: &LogColumns| (columns.by_user, columns.time.is_some());
        let same = self.0.is_none_or(|known| kind(&known) == kind(&columns));
        ensure!(same, "{file} has other columns than the files before it");
        self.0 = Some(columns);
        Ok(columns)
    }

    /// What the columns say about the log.
    pub(super) fn source(&self, layout: Layout) -> Result<Source> {
        let columns = self.0.context("no file")?;
        Ok(Source {
            layout,
            has_times: columns.time.is_some(),
            by_user: columns.by_user,
            has_periods: false,
            prepared: false,
        })
    }
}

/// Where the fields of an item table stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ItemColumns {
    pub(super) item: usize,
    pub(super) name: Option<usize>,
    pub(super) brand: Option<usize>,
    pub(super) category: Option<usize>,
    pub(super) price: Option<usize>,
    pub(super) stock: Option<usize>,
}

impl ItemColumns {
    pub(super) fn find(map: &ColumnMap, header: &[String]) -> Result<Self> {
        let find = |field| map.find(header, &ITEM, field);
        Ok(Self {
            item: find("item")?.with_context(|| {
                let there = header.join(", ");
                format!("no column is known as the item: say --item-columns item=NAME; there are {there}")
            })?,
            name: find("name")?,
            brand: find("brand")?,
            category: find("category")?,
            price: find("price")?,
            stock: find("stock")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn usual_names_are_found_and_others_are_told() {
        let usual = LogColumns::find(&ColumnMap::default(), &header("Time USER_ID Item_Id"));
        let usual = usual.unwrap();
        assert_eq!((usual.owner, usual.item, usual.time), (1, 2, Some(0)));
        assert!(usual.by_user);
        let map: ColumnMap = "session=s, item=i".parse().unwrap();
        let told = LogColumns::find(&map, &header("i s item_id")).unwrap();
        assert_eq!((told.owner, told.item, told.by_user), (1, 0, false));
    }

    #[test]
    fn mistakes_are_explained() {
        assert!("sesion=s".parse::<ColumnMap>().unwrap_err().to_string().contains("sesion"));
        assert!("session".parse::<ColumnMap>().is_err());
        let map: ColumnMap = "item=sku".parse().unwrap();
        let error = LogColumns::find(&map, &header("session_id item_id")).unwrap_err();
        assert!(error.to_string().contains("session_id, item_id"), "{error}");
        let error = LogColumns::find(&ColumnMap::default(), &header("a b")).unwrap_err();
        assert!(error.to_string().contains("--columns session=NAME"), "{error}");
    }
}
