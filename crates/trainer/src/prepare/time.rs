//! Times of a log, in whatever unit, as Unix milliseconds.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// The end of 2199: a later time means that the unit is wrong.
const LATEST_MS: i64 = 7_258_118_400_000;
/// Numbers from here on are milliseconds when nobody says otherwise: as milliseconds this is
/// March 1973, as seconds the year 5138.
const SURELY_MS: f64 = 1e11;

/// What the values of a time column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeUnit {
    /// `auto`: decided by the first value that can be read.
    #[default]
    Auto,
    /// `s`: Unix seconds, possibly with a fraction.
    Seconds,
    /// `ms`: Unix milliseconds.
    Milliseconds,
    /// `iso`: ISO 8601, such as `2014-04-07T10:51:09.277Z`, `2014-04-07 10:51:09` or
    /// `2014-04-07`; UTC where no offset is given.
    Iso,
}

impl FromStr for TimeUnit {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "auto" => Self::Auto,
            "s" => Self::Seconds,
            "ms" => Self::Milliseconds,
            "iso" => Self::Iso,
            _ => bail!("unknown time unit {name:?}; known are auto, s, ms, iso"),
        })
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "whatever the first one is",
            Self::Seconds => "Unix seconds",
            Self::Milliseconds => "Unix milliseconds",
            Self::Iso => "ISO 8601",
        })
    }
}

impl TimeUnit {
    /// Reads a time in Unix milliseconds, and settles [`TimeUnit::Auto`]. `None` when it is no
    /// time of this unit, or not between 1970 and 2199.
    pub(super) fn parse(&mut self, text: &str) -> Option<i64> {
        let text = text.trim();
        let number = || text.parse::<f64>().ok();
        let (time, unit) = match self {
            Self::Seconds => (seconds(number()?), Self::Seconds),
            Self::Milliseconds => (number()?.round() as i64, Self::Milliseconds),
            Self::Iso => (iso(text)?, Self::Iso),
            Self::Auto => match number() {
                Some(number) if number >= SURELY_MS => (number.round() as i64, Self::Milliseconds),
                Some(number) => (seconds(number), Self::Seconds),
                None => (iso(text)?, Self::Iso),
            },
        };
        let finite = unit == Self::Iso || number().is_some_and(f64::is_finite);
        let time = Some(time).filter(|time| finite && is_plausible(*time))?;
        *self = unit;
        Some(time)
    }
}

/// Whether a time in Unix milliseconds lies between 1970 and 2199.
pub(super) fn is_plausible(ms: i64) -> bool {
    (0..LATEST_MS).contains(&ms)
}

fn seconds(number: f64) -> i64 {
    (number * 1_000.0).round() as i64
}

fn iso(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            day.and_hms_opt(0, 0, 0)
        })
        .map(|time| time.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(text: &str) -> Option<(i64, TimeUnit)> {
        let mut unit = TimeUnit::Auto;
        let time = unit.parse(text)?;
        Some((time, unit))
    }

    #[test]
    fn units_are_told_apart() {
        use TimeUnit::{Iso, Milliseconds, Seconds};
        let cases = [
            ("1396437466.94", 1_396_437_466_940, Seconds),
            ("1396437466", 1_396_437_466_000, Seconds),
            ("1396437466940", 1_396_437_466_940, Milliseconds),
            ("2014-04-02T11:17:46.940Z", 1_396_437_466_940, Iso),
            ("2014-04-02T13:17:46.940+02:00", 1_396_437_466_940, Iso),
            ("2014-04-02 11:17:46", 1_396_437_466_000, Iso),
            ("2014-04-02 11:17:46 UTC", 1_396_437_466_000, Iso),
            ("2014-04-02", 1_396_396_800_000, Iso),
            (" 0 ", 0, Seconds),
        ];
        for (text, time, unit) in cases {
            assert_eq!(auto(text), Some((time, unit)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "soon", "NaN", "inf", "-1", "1e300", "2014-13-01", "2300-01-01"] {
            assert_eq!(auto(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_time_settles_the_unit() {
        let mut unit = TimeUnit::Auto;
        assert_eq!(unit.parse("soon"), None);
        assert_eq!(unit, TimeUnit::Auto);
        assert!(unit.parse("2014-04-02").is_some());
        assert_eq!(unit.parse("1396437466"), None);
        let mut unit = TimeUnit::Seconds;
        assert_eq!(unit.parse("1396437466940"), None, "milliseconds taken for seconds");
    }
}
