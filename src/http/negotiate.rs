//! Content negotiation: `Accept` and `Accept-Encoding` (RFC 9110, sections 12.5.1 and 12.5.3).

use axum::http::HeaderValue;
use mediatype::names::{_STAR, Q};
use mediatype::{MediaType, MediaTypeList, ReadParams};

use crate::metrics::Format;

/// Returns the format with the highest quality in `Accept`, or text if there is none.
///
/// The response is never 406.
pub(crate) fn format<'a>(accept: impl IntoIterator<Item = &'a HeaderValue>) -> Format {
    let ranges: Vec<(MediaType<'_>, f64)> = accept
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| MediaTypeList::new(value).filter_map(Result::ok))
        .filter_map(|range| {
            let quality = range.get_param(Q).map_or(Some(1.0), |q| q.as_str().parse().ok());
            Some((range, quality.filter(|q| (0.0..=1.0).contains(q))?))
        })
        .collect();
    // The most specific matching range determines the quality of a format.
    let quality = |format: Format| {
        ranges
            .iter()
            .filter_map(|(range, quality)| Some((specificity(range, format)?, *quality)))
            .max_by(|(a, p), (b, q)| a.cmp(b).then(p.total_cmp(q)))
            .map_or(0.0, |(_, quality)| quality)
    };
    if quality(Format::OpenMetrics) > quality(Format::Text) { Format::OpenMetrics } else { Format::Text }
}

/// Returns the specificity of `range` if it matches `format`, 0 for `*/*`.
///
/// Parameters other than `version` are ignored.
fn specificity(range: &MediaType<'_>, format: Format) -> Option<u8> {
    let (ty, subty, version) = match format {
        Format::Text => ("text", "plain", "0.0.4"),
        Format::OpenMetrics => ("application", "openmetrics-text", "1.0.0"),
    };
    let requested = mediatype::Name::new("version").and_then(|name| range.get_param(name));
    let is_format = range.ty == ty && range.subty == subty && range.suffix.is_none();
    match requested {
        _ if range.ty == _STAR => Some(0),
        _ if range.ty == ty && range.subty == _STAR => Some(1),
        None if is_format => Some(2),
        Some(requested) if is_format && requested.unquoted_str() == version => Some(3),
        _ => None,
    }
}

/// Returns true if `Accept-Encoding` allows gzip and does not prefer plain text.
pub(crate) fn gzip<'a>(accept: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for coding in
        accept.into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
    {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = match parameters.trim().split_once('=') {
            Some((q, value)) if q.trim_end().eq_ignore_ascii_case("q") => value.trim().parse().unwrap_or(0.0),
            _ => 1.0,
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(quality),
            "identity" => identity = Some(quality),
            "*" => any = Some(quality),
            _ => {}
        }
    }
    let gzip: f64 = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip <= 1.0 && identity.is_none_or(|identity| identity <= gzip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    #[test]
    fn gzip_is_used_if_accepted_unless_identity_is_preferred() {
        for accept in
            "gzip|deflate, gzip, br, zstd|GZIP;q=0.5|x-gzip|*|*;q=0.1|gzip ; q = 0.3 , identity;q=0.3"
                .split('|')
        {
            assert!(gzip([&header(accept)]), "{accept}");
        }
        for accept in "|identity|br|gzip;q=0|gzip;q=0, *|gzip;q=0.2, identity|gzip;q=x|gzip;q=7|gzipped|*;q=0"
            .split('|')
        {
            assert!(!gzip([&header(accept)]), "{accept}");
        }
        assert!(!gzip([]));
    }

    #[test]
    fn format_with_the_highest_quality_is_used() {
        for accept in [
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text",
            "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.6",
            "application/openmetrics-text;q=0.1, */*;q=0.05",
            "APPLICATION/OpenMetrics-Text;Q=0.5,text/plain;q=0.4",
            "text/plain;q=0.1,application/*;q=0.9",
            // Prometheus 2.42 and 3.x.
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        ] {
            assert_eq!(format([&header(accept)]), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn format_is_text_unless_openmetrics_is_preferred() {
        for accept in [
            "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/openmetrics-text;q=0,*/*",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=2",
            "application/openmetrics-text;q=x,text/plain;q=0.1",
            "",
            ",,;;q=",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
            // The more specific range decides.
            "application/openmetrics-text;q=0.2,application/*;q=0.9,text/plain;q=0.5",
        ] {
            assert_eq!(format([&header(accept)]), Format::Text, "{accept}");
        }
        assert_eq!(format([]), Format::Text);
        let unreadable = HeaderValue::from_bytes(&[0xff, b'/', b'*']).unwrap();
        assert_eq!(format([&unreadable]), Format::Text);
    }
}
