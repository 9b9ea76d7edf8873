//! A strict reader of OpenMetrics 1.0 text, for tests: what it takes, Prometheus takes.

use std::collections::{BTreeMap, BTreeSet};

/// One family: what it is and its samples, in the order written.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) kind: String,
    pub(super) unit: String,
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// Reads everything, or says what is wrong and where.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("no end")?;
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in body.strip_suffix('\n').ok_or("the last line is cut")?.split('\n') {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(rest) = line.strip_prefix("# ") {
            let (keyword, rest) = rest.split_once(' ').ok_or_else(|| wrong("a bare keyword"))?;
            let (name, value) = rest.split_once(' ').ok_or_else(|| wrong("nothing said"))?;
            if !is_name(name, true) {
                return Err(wrong("no name of a metric"));
            }
            if name != current {
                if families.insert(name.to_owned(), Family::default()).is_some() {
                    return Err(wrong("a family in two places"));
                }
                name.clone_into(&mut current);
            }
            let family = families.get_mut(name).ok_or_else(|| wrong("no family"))?;
            if !family.samples.is_empty() {
                return Err(wrong("metadata after samples"));
            }
            match keyword {
                "HELP" if !value.contains('\\') => {}
                "TYPE" if ["counter", "gauge", "histogram", "info"].contains(&value) => value.clone_into(&mut family.kind),
                "UNIT" if name.ends_with(&format!("_{value}")) => value.clone_into(&mut family.unit),
                _ => return Err(wrong("metadata")),
            }
            continue;
        }
        let sample = sample(line).ok_or_else(|| wrong("a sample"))?;
        let family = families.get_mut(&current).ok_or_else(|| wrong("a sample without a family"))?;
        let suffix = sample.name.strip_prefix(current.as_str()).ok_or_else(|| wrong("a sample of another family"))?;
        let fits = match family.kind.as_str() {
            "counter" => suffix == "_total" && sample.value >= 0.0,
            "gauge" => suffix.is_empty(),
            "info" => suffix == "_info" && (sample.value - 1.0).abs() < f64::EPSILON,
            "histogram" => ["_bucket", "_count", "_sum"].contains(&suffix) && (suffix == "_bucket") == sample.labels.contains_key("le"),
            _ => false,
        };
        if !fits || !seen.insert((sample.name.clone(), sample.labels.clone())) {
            return Err(wrong("a sample that does not fit, or is there twice"));
        }
        family.samples.push(sample);
    }
    for (name, family) in &families {
        if family.kind.is_empty() || family.samples.is_empty() {
            return Err(format!("{name} has no type or no samples"));
        }
        if family.kind == "histogram" {
            histogram(name, family)?;
        }
    }
    Ok(families)
}

/// Buckets grow, end with infinity and agree with the count.
fn histogram(name: &str, family: &Family) -> Result<(), String> {
    let of = |suffix: &str, labels: &BTreeMap<String, String>| {
        let wanted = format!("{name}{suffix}");
        family.samples.iter().find(|sample| sample.name == wanted && sample.labels == *labels).map(|sample| sample.value)
    };
    let mut groups: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in family.samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").and_then(|bound| number(&bound)).ok_or_else(|| format!("{name}: a bound"))?;
        groups.entry(labels).or_default().push((bound, sample.value));
    }
    for (labels, buckets) in &groups {
        let grows = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = buckets.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, count)| *count);
        if !grows || last.is_none() || last != of("_count", labels) || of("_sum", labels).is_none() {
            return Err(format!("{name}{labels:?}: {buckets:?}"));
        }
    }
    if groups.is_empty() { Err(format!("{name} has no buckets")) } else { Ok(()) }
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        loop {
            let (key, after) = inner.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            if !is_name(key, false) || labels.insert(key.to_owned(), value).is_some() {
                return None;
            }
            match after.strip_prefix(',') {
                Some(more) => inner = more,
                None => {
                    rest = after.strip_prefix('}')?;
                    break;
                }
            }
        }
    }
    let value = number(rest.strip_prefix(' ')?)?;
    is_name(name, true).then(|| Sample { name: name.to_owned(), labels, value })
}

/// The text up to the closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                same @ ('"' | '\\') => same,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        _ => text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.e".contains(&byte)).then(|| text.parse().ok())?,
    }
}

fn is_name(name: &str, colons: bool) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
    !name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty() && name.bytes().all(plain)
}

#[test]
fn the_reader_refuses_what_is_malformed() {
    assert!(read("# TYPE a counter\na_total 1\n# EOF\n").is_ok_and(|families| families["a"].samples[0].value == 1.0));
    for text in [
        "",
        "# TYPE a counter\na_total 1\n",
        "# TYPE a counter\na_total 1# EOF\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a counter\na_total -1\n# EOF\n",
        "# TYPE a counter\na_total 1\na_total 2\n# EOF\n",
        "# TYPE a counter\nb_total 1\n# EOF\n",
        "# TYPE a counter\n# EOF\n",
        "# TYPE a wrong\na 1\n# EOF\n",
        "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",
        "# TYPE a gauge\na 1\n# HELP a late\n# EOF\n",
        "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na 2\n# EOF\n",
        "# TYPE a gauge\na{b=\"1\",b=\"2\"} 1\n# EOF\n",
        "# TYPE a gauge\na{b=\"1} 1\n# EOF\n",
        "# TYPE a gauge\na{} 1\n# EOF\n",
        "# TYPE a gauge\na NaNa\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_count 1\na_sum 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\na_sum 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
