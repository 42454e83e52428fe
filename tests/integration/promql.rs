//! Parts of `PromQL` queries that the tests of dashboards and rules check.

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{self, Expr, VectorSelector};
use std::collections::BTreeSet;
use std::time::Duration;

/// Matcher of a selector: `job`, `=~`, `$job`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) op: &'static str,
    pub(crate) value: String,
}

/// Selector of a query, with its context.
#[derive(Debug)]
pub(crate) struct Selector {
    /// Empty if the selector has no name, as in `{job="a"}`.
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
    /// Range of a range selector.
    pub(crate) range: Option<Duration>,
    /// Function whose direct argument it is.
    pub(crate) function: Option<&'static str>,
    /// True within an aggregation such as `sum by (le) (...)`.
    pub(crate) aggregated: bool,
    pub(crate) has_offset_or_at: bool,
}

impl Selector {
    pub(crate) fn matches(&self, label: &str, op: &str, value: &str) -> bool {
        self.matchers.iter().any(|m| m.label == label && m.op == op && m.value == value)
    }
}

pub(crate) fn parse(query: &str) -> Result<Expr, String> {
    parser::parse(query)
}

/// Returns every selector of a query, with those in parameters of aggregations.
pub(crate) fn selectors(expr: &Expr) -> Vec<Selector> {
    let mut found = Vec::new();
    walk(expr, Place::default(), &mut |node, place| match node {
        Expr::VectorSelector(vector) => found.push(selector(vector, None, place)),
        Expr::MatrixSelector(matrix) => found.push(selector(&matrix.vs, Some(matrix.range), place)),
        _ => {}
    });
    found
}

/// Returns every label of groupings and vector matchings, without those of matchers.
pub(crate) fn grouping_labels(expr: &Expr) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(expr, Place::default(), &mut |node, _| match node {
        Expr::Aggregate(aggregate) => {
            found.extend(aggregate.modifier.iter().flat_map(|by| by.labels().labels.clone()));
        }
        Expr::Binary(binary) => {
            let Some(binary) = &binary.modifier else { return };
            found.extend(binary.matching.iter().flat_map(|on| on.labels().labels.clone()));
            found.extend(binary.card.labels().into_iter().flat_map(|carried| carried.labels.clone()));
        }
        _ => {}
    });
    found
}

/// Returns the labels that `label_replace`, `label_join` and `count_values` create.
pub(crate) fn made_labels(expr: &Expr) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(expr, Place::default(), &mut |node, _| {
        let made = match node {
            Expr::Call(call) if matches!(call.func.name, "label_replace" | "label_join") => {
                call.args.args.get(1)
            }
            // No other aggregation has a string as its parameter.
            Expr::Aggregate(aggregate) => aggregate.param.as_ref(),
            _ => None,
        };
        if let Some(Expr::StringLiteral(label)) = made.map(|made| &**made) {
            found.insert(label.val.clone());
        }
    });
    found
}

/// Returns the names of all functions of a query.
pub(crate) fn functions(expr: &Expr) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    walk(expr, Place::default(), &mut |node, _| {
        if let Expr::Call(call) = node {
            found.insert(call.func.name);
        }
    });
    found
}

#[derive(Clone, Copy, Default)]
struct Place {
    function: Option<&'static str>,
    aggregated: bool,
}

/// Visits all expressions; the parser's own visitor skips parameters and has no context.
fn walk(expr: &Expr, place: Place, see: &mut impl FnMut(&Expr, Place)) {
    see(expr, place);
    let inside = Place { function: None, ..place };
    match expr {
        Expr::Aggregate(aggregate) => {
            walk(&aggregate.expr, Place { aggregated: true, ..inside }, see);
            if let Some(param) = &aggregate.param {
                walk(param, inside, see);
            }
        }
        Expr::Binary(binary) => {
            walk(&binary.lhs, inside, see);
            walk(&binary.rhs, inside, see);
        }
        Expr::Unary(unary) => walk(&unary.expr, inside, see),
        Expr::Paren(paren) => walk(&paren.expr, place, see),
        Expr::Subquery(subquery) => walk(&subquery.expr, inside, see),
        Expr::Call(call) => {
            let argument = Place { function: Some(call.func.name), ..place };
            call.args.args.iter().for_each(|arg| walk(arg, argument, see));
        }
        Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::Extension(_) => {}
    }
}

fn selector(vector: &VectorSelector, range: Option<Duration>, place: Place) -> Selector {
    let matchers = list(&vector.matchers);
    // `{__name__="metric"}` is a name, too.
    let named = || matchers.iter().find(|m| m.label == "__name__" && m.op == "=").map(|m| m.value.clone());
    Selector {
        metric: vector.name.clone().or_else(named).unwrap_or_default(),
        matchers,
        range,
        function: place.function,
        aggregated: place.aggregated,
        has_offset_or_at: vector.offset.is_some() || vector.at.is_some(),
    }
}

fn list(matchers: &Matchers) -> Vec<Matcher> {
    assert!(matchers.or_matchers.is_empty(), "Prometheus does not know `or` between matchers");
    let op = |op: &MatchOp| match op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Re(_) => "=~",
        MatchOp::NotRe(_) => "!~",
    };
    matchers
        .matchers
        .iter()
        .map(|m| Matcher { label: m.name.clone(), op: op(&m.op), value: m.value.clone() })
        .collect()
}

#[test]
fn selectors_are_found_with_their_context() {
    let query = r#"topk(scalar(max(limit{job="a"})), sum by (le) (rate(c_total{job=~"b|c"}[5m]))
        / on (x) group_left (y) -g) or max_over_time((h > 1)[30d:1h]) or label_replace((
        {__name__="n"} offset 1h), "made", "", "", "") or count_values("counted", sum(i))"#;
    let expr = parse(query).unwrap();
    let found: Vec<_> = selectors(&expr)
        .into_iter()
        .map(|s| {
            (s.metric, s.range.map(|range| range.as_secs()), s.function, s.aggregated, s.has_offset_or_at)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("c_total".into(), Some(300), Some("rate"), true, false),
            ("g".into(), None, None, true, false),
            ("limit".into(), None, None, true, false),
            ("h".into(), None, None, false, false),
            ("n".into(), None, Some("label_replace"), false, true),
            ("i".into(), None, None, true, false),
        ]
    );
    assert!(selectors(&expr)[0].matches("job", "=~", "b|c"));
    assert_eq!(grouping_labels(&expr), ["le", "x", "y"].map(str::to_owned).into());
    assert_eq!(made_labels(&expr), ["counted", "made"].map(str::to_owned).into());
    assert_eq!(functions(&expr), ["label_replace", "max_over_time", "rate", "scalar"].into());
    assert!(parse("sum by (").is_err());
}
