//! Each header by itself, and their order.

use http::HeaderValue;

use super::*;

const ETAG: &str = "\"a,b\"";
/// Sunday, 6 November 1994, 08:49:37 and a half.
const MODIFIED: Duration = Duration::from_millis(784_111_777_500);
const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn validators() -> Validators<'static> {
    Validators {
        etag: ETAG,
        modified: SystemTime::UNIX_EPOCH + MODIFIED,
    }
}

fn weigh(pairs: &[(&'static str, &str)]) -> Verdict {
    validators().weigh(&headers(pairs))
}

#[test]
fn conditions_are_weighed_as_the_standard_says() {
    use Verdict::{Failed, NotModified, Proceed};
    let cases: &[(&[(&'static str, &str)], Verdict)] = &[
        (&[], Proceed),
        (&[("if-match", ETAG)], Proceed),
        (&[("if-match", "*")], Proceed),
        (&[("if-match", "\"x\", \"a,b\"")], Proceed),
        (&[("if-match", "\"x\""), ("if-match", ETAG)], Proceed),
        (&[("if-match", "W/\"a,b\"")], Failed("If-Match")),
        (&[("if-match", "\"a\"")], Failed("If-Match")),
        (&[("if-match", "")], Failed("If-Match")),
        (&[("if-unmodified-since", AT)], Proceed),
        (
            &[("if-unmodified-since", BEFORE)],
            Failed("If-Unmodified-Since"),
        ),
        (&[("if-unmodified-since", "yesterday")], Proceed),
        (
            &[("if-match", ETAG), ("if-unmodified-since", BEFORE)],
            Proceed,
        ),
        (&[("if-none-match", ETAG)], NotModified),
        (&[("if-none-match", "W/\"a,b\"")], NotModified),
        (&[("if-none-match", "*")], NotModified),
        (&[("if-none-match", "\"x\"")], Proceed),
        (&[("if-modified-since", AT)], NotModified),
        (&[("if-modified-since", BEFORE)], Proceed),
        (
            &[("if-none-match", "\"x\""), ("if-modified-since", AT)],
            Proceed,
        ),
        (
            &[("if-match", "\"x\""), ("if-none-match", ETAG)],
            Failed("If-Match"),
        ),
    ];
    for (pairs, verdict) in cases {
        assert_eq!(weigh(pairs), *verdict, "{pairs:?}");
    }
}

#[test]
fn ranges_are_those_of_the_standard() {
    use Asked::{Outside, Part, Whole};
    for (range, size, asked) in [
        ("bytes=0-0", 10, Part(0..1)),
        ("bytes=2-5", 10, Part(2..6)),
        ("bytes=5-", 10, Part(5..10)),
        ("bytes=5-99", 10, Part(5..10)),
        ("Bytes = 5-6", 10, Part(5..7)),
        ("bytes=-3", 10, Part(7..10)),
        ("bytes=-99", 10, Part(0..10)),
        ("bytes=9-99999999999999999999999", 10, Part(9..10)),
        ("bytes=10-", 10, Outside),
        ("bytes=99999999999999999999999-", 10, Outside),
        ("bytes=-0", 10, Outside),
        ("bytes=0-", 0, Outside),
        ("bytes=-1", 0, Outside),
        ("bytes=6-5", 10, Whole),
        ("bytes=a-b", 10, Whole),
        ("bytes=+1-2", 10, Whole),
        ("bytes=-", 10, Whole),
        ("bytes=5", 10, Whole),
        ("bytes=0-1,4-5", 10, Whole),
        ("lines=0-1", 10, Whole),
        ("", 10, Whole),
    ] {
        let headers = headers(&[("range", range)]);
        assert_eq!(validators().asked(&headers, size), asked, "{range} {size}");
    }
}

#[test]
fn a_range_holds_only_for_the_file_that_it_was_meant_for() {
    for (only_if, holds) in [
        (ETAG, true),
        ("\"x\"", false),
        ("W/\"a,b\"", false),
        (AT, true),
        (BEFORE, false),
    ] {
        let headers = headers(&[("range", "bytes=1-2"), ("if-range", only_if)]);
        let asked = validators().asked(&headers, 10);
        assert_eq!(asked == Asked::Part(1..3), holds, "{only_if}");
    }
}

#[test]
fn a_write_has_the_conditions_that_can_be_held() {
    let read = |pairs: &[(&'static str, &str)]| precondition(&headers(pairs));
    assert_eq!(read(&[]).unwrap(), Precondition::None);
    assert_eq!(read(&[("if-match", "*")]).unwrap(), Precondition::Present);
    assert_eq!(
        read(&[("if-none-match", "*")]).unwrap(),
        Precondition::Absent
    );
    assert_eq!(
        read(&[("if-match", "\"x\", \"a,b\"")]).unwrap(),
        Precondition::Matches(vec!["\"x\"".to_owned(), ETAG.to_owned()])
    );
    for (pairs, named) in [
        (&[("if-none-match", "\"x\"")][..], "If-None-Match"),
        (&[("if-unmodified-since", AT)], "If-Unmodified-Since"),
        (&[("if-match", "*"), ("if-none-match", "*")], "If-Match"),
    ] {
        let error = read(pairs).unwrap_err();
        assert_eq!(error.status().as_u16(), 400);
        assert!(error.message().contains(named), "{}", error.message());
    }
}
