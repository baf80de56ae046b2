//! Where a trace stands, as headers say it.

use opentelemetry::trace::{SpanId, TraceId};

/// A trace that goes on, and the span that is the next one's parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(super) trace_id: TraceId,
    /// That of no span where the trace begins.
    pub(super) span_id: SpanId,
    /// Whether its spans are wanted.
    pub(crate) is_sampled: bool,
}

impl Context {
    /// What the header `X-Amzn-Trace-Id` says, where it names a trace. One that leaves the decision open is sampled.
    ///
    /// Source: documented, <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.
    pub(crate) fn of_xray(header: &str) -> Option<Self> {
        let field = |name| xray_field(header, name);
        Some(Self {
            trace_id: of_root(field("Root")?)?,
            span_id: field("Parent").and_then(span_id).unwrap_or(SpanId::INVALID),
            is_sampled: field("Sampled") != Some("0"),
        })
    }

    /// What the header `traceparent` says, where it can be read.
    ///
    /// Source: <https://www.w3.org/TR/trace-context/#traceparent-header>; a later version may have more fields.
    pub(crate) fn of_traceparent(header: &str) -> Option<Self> {
        let mut fields = header.trim().split('-');
        let (version, trace_id, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if version.len() != 2 || !is_hex(version) || version == "ff" || (version == "00" && fields.next().is_some()) {
            return None;
        }
        if trace_id.len() != 32 || !is_hex(trace_id) || flags.len() != 2 || !is_hex(flags) || !is_hex(parent) {
            return None;
        }
        let trace_id = TraceId::from_hex(trace_id).ok().filter(|id| *id != TraceId::INVALID)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self {
            trace_id,
            span_id: span_id(parent)?,
            is_sampled: flags & 1 == 1,
        })
    }

    /// A new trace: of this time, and with these bits.
    pub(super) fn begin(now_seconds: u64, random: u128) -> Self {
        let time = u128::from(now_seconds & 0xffff_ffff) << 96;
        Self {
            // All of it is zero for nobody.
            trace_id: TraceId::from((time | random >> 32).max(1)),
            span_id: SpanId::INVALID,
            is_sampled: true,
        }
    }

    /// The span as X-Ray's `Parent`, where there is one.
    pub(crate) fn parent(&self) -> Option<String> {
        (self.span_id != SpanId::INVALID).then(|| self.span_id.to_string())
    }

    /// The trace as X-Ray's `Root`.
    pub(crate) fn root(&self) -> String {
        let mut root = format!("1-{}", self.trace_id);
        root.insert(2 + 8, '-');
        root
    }
}

/// A field of the header `X-Amzn-Trace-Id`.
pub(crate) fn xray_field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|field| {
        let (key, value) = field.trim().split_once('=')?;
        (key.eq_ignore_ascii_case(name) && !value.is_empty()).then_some(value)
    })
}

/// The trace of a `Root`: `1-`, eight digits, `-`, and twenty-four.
fn of_root(root: &str) -> Option<TraceId> {
    let (time, rest) = root.strip_prefix("1-")?.split_once('-')?;
    if time.len() != 8 || rest.len() != 24 || !(time.bytes().chain(rest.bytes())).all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let id = TraceId::from_hex(&format!("{time}{rest}")).ok()?;
    (id != TraceId::INVALID).then_some(id)
}

fn span_id(text: &str) -> Option<SpanId> {
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    SpanId::from_hex(text).ok().filter(|id| *id != SpanId::INVALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "5759e988bd862e3fe1be46a994272793";

    fn context(span_id: &str, is_sampled: bool) -> Context {
        Context {
            trace_id: TraceId::from_hex(TRACE).expect("digits"),
            span_id: SpanId::from_hex(span_id).expect("digits"),
            is_sampled,
        }
    }

    #[test]
    fn an_xray_header_names_a_trace_its_parent_and_whether_it_is_sampled() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        for (rest, expected) in [
            (
                ";Parent=53995c3f42cd8ad8;Sampled=1",
                Some(context("53995c3f42cd8ad8", true)),
            ),
            (
                "; parent=53995c3f42cd8ad8 ;sampled=0;Lineage=a:0",
                Some(context("53995c3f42cd8ad8", false)),
            ),
            (";Sampled=?", Some(context("0", true))),
            ("", Some(context("0", true))),
            (";Parent=nonsense", Some(context("0", true))),
        ] {
            assert_eq!(Context::of_xray(&format!("{root}{rest}")), expected, "{rest}");
        }
        for wrong in [
            "",
            "Root=",
            "Root=1-2-3",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a99427279\u{e9}",
            "Root=1-+759e988-bd862e3fe1be46a994272793",
            "Root=1-00000000-000000000000000000000000",
            "Parent=53995c3f42cd8ad8;Sampled=1",
        ] {
            assert_eq!(Context::of_xray(wrong), None, "{wrong}");
        }
        assert_eq!(context("0", true).root(), &root["Root=".len()..]);
    }

    #[test]
    fn a_traceparent_names_the_same() {
        for (header, expected) in [
            (
                format!("00-{TRACE}-53995c3f42cd8ad8-01"),
                Some(context("53995c3f42cd8ad8", true)),
            ),
            (
                format!("00-{TRACE}-53995c3f42cd8ad8-02"),
                Some(context("53995c3f42cd8ad8", false)),
            ),
            (
                format!("cc-{TRACE}-53995c3f42cd8ad8-03-what-comes"),
                Some(context("53995c3f42cd8ad8", true)),
            ),
            (format!("00-{TRACE}-53995c3f42cd8ad8-01-more"), None),
            (format!("ff-{TRACE}-53995c3f42cd8ad8-01"), None),
            (format!("00-{TRACE}-0000000000000000-01"), None),
            (format!("00-{}-53995c3f42cd8ad8-01", "0".repeat(32)), None),
            (format!("00-{}-53995c3f42cd8ad8-01", TRACE.to_uppercase()), None),
            (format!("00-{TRACE}-53995c3f42cd8ad8"), None),
            (format!("0-{TRACE}-53995c3f42cd8ad8-01"), None),
            (String::new(), None),
        ] {
            assert_eq!(Context::of_traceparent(&header), expected, "{header}");
        }
    }
}
