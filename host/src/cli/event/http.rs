//! Sources that hand on an HTTP request.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::document::{Document, Place};
use super::{Error, Pair};

/// The request that is handed on.
#[derive(Clone, Debug, Args)]
struct Request {
    /// The method [default: GET, with a body POST]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,

    /// The path
    #[arg(short, long, value_name = "PATH", default_value = "/")]
    path: String,

    /// A parameter of the query, as it is before it is encoded; repeatable
    #[arg(short, long, value_name = "NAME=VALUE")]
    query: Vec<Pair>,

    /// A header, repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<Header>,

    /// The body; `content-type` is JSON's where it is JSON, unless a header says otherwise
    #[arg(short, long, value_name = "TEXT", conflicts_with = "body_file")]
    body: Option<String>,

    /// A file with the body; in the event it is in base64 where it is no text
    #[arg(long, value_name = "PATH")]
    body_file: Option<PathBuf>,
}

/// A header as curl takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    name: String,
    value: String,
}

impl std::str::FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.trim().to_owned(),
            }),
            _ => Err("write `NAME: VALUE`"),
        }
    }
}

/// The request with all that its arguments leave open decided.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    path: String,
    query: Vec<Pair>,
    headers: Vec<Header>,
    body: Option<Body>,
}

#[derive(Clone, Debug)]
struct Body {
    text: String,
    is_base64: bool,
}

impl Request {
    fn sent(self) -> Result<Sent, Error> {
        let bytes = match (self.body, self.body_file) {
            (Some(text), _) => Some(text.into_bytes()),
            (None, Some(path)) => Some(fs::read(&path).map_err(|source| Error::Body(path, source))?),
            (None, None) => None,
        };
        let mut headers = self.headers;
        if let Some(bytes) = &bytes {
            let is_json = serde_json::from_slice::<&RawValue>(bytes).is_ok();
            let is_text = std::str::from_utf8(bytes).is_ok();
            let content_type = match (is_json, is_text) {
                (true, _) => "application/json",
                (false, true) => "text/plain",
                (false, false) => "application/octet-stream",
            };
            for (name, value) in [
                ("content-type", content_type),
                ("content-length", &bytes.len().to_string()),
            ] {
                if !headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
                    headers.push(Header {
                        name: name.to_owned(),
                        value: value.to_owned(),
                    });
                }
            }
        }
        let path = if self.path.starts_with('/') {
            self.path
        } else {
            format!("/{}", self.path)
        };
        Ok(Sent {
            method: self
                .method
                .unwrap_or_else(|| if bytes.is_some() { "POST" } else { "GET" }.to_owned()),
            path,
            query: self.query,
            headers,
            body: bytes.map(|bytes| match String::from_utf8(bytes) {
                Ok(text) => Body { text, is_base64: false },
                Err(error) => Body {
                    text: BASE64_STANDARD.encode(error.as_bytes()),
                    is_base64: true,
                },
            }),
        })
    }
}

impl Sent {
    /// A header's values, joined as they are in payload 2.0.
    fn header(&self, name: &str) -> Option<String> {
        let own = self
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        let values: Vec<_> = own.map(|header| header.value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// Its body is a text only where it is of such a type, whatever its bytes are.
    fn with_text_of(mut self, is_text: impl Fn(&str) -> bool) -> Self {
        let content_type = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_text = is_text(essence) && self.header("content-encoding").is_none();
        if let Some(body) = &mut self.body
            && !body.is_base64
            && !is_text
        {
            body.text = BASE64_STANDARD.encode(&body.text);
            body.is_base64 = true;
        }
        self
    }

    /// The headers of the fixture at the pointer, with the request's own over them; names in the letters of `spell`.
    /// Values of one name are one list.
    fn headers(&self, of: &Document, spell: impl Fn(&str) -> String) -> BTreeMap<String, Vec<String>> {
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let Value::Object(fixture) = of.get("/headers") {
            for (name, value) in fixture {
                let value = value.as_str().unwrap_or_default().to_owned();
                headers.insert(name.clone(), vec![value]);
            }
        }
        let mut own: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Header { name, value } in &self.headers {
            own.entry(spell(name)).or_default().push(value.clone());
        }
        for name in own.keys() {
            headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
        }
        headers.append(&mut own);
        headers
    }

    fn parameters(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut parameters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Pair { name, value } in &self.query {
            parameters.entry(name).or_default().push(value);
        }
        parameters
    }

    /// The event of payload 2.0, on the fixture.
    ///
    /// Source: documented,
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>: several
    /// values of one name are joined by commas, cookies are a list of their own, and what there is none of is left out.
    fn payload_2(self, mut event: Document) -> Document {
        let mut headers = self.headers(&event, str::to_ascii_lowercase);
        if let Some(cookies) = headers.remove("cookie") {
            let cookies: Vec<String> = cookies
                .iter()
                .flat_map(|cookies| cookies.split(';'))
                .map(|cookie| cookie.trim().to_owned())
                .collect();
            event.set("/cookies", cookies);
        }
        let joined = |(name, values): (String, Vec<String>)| (name, Value::from(values.join(",")));
        if let Some(agent) = headers.get("user-agent") {
            event.set("/requestContext/http/userAgent", agent.join(","));
        }
        event.set("/headers", headers.into_iter().map(joined).collect::<Map<_, _>>());
        let mut raw = form_urlencoded::Serializer::new(String::new());
        for Pair { name, value } in &self.query {
            raw.append_pair(name, value);
        }
        event.set("/rawQueryString", raw.finish());
        if !self.query.is_empty() {
            let parameters = self.parameters().into_iter();
            let parameters = parameters.map(|(name, values)| (name.to_owned(), Value::from(values.join(","))));
            event.set("/queryStringParameters", parameters.collect::<Map<_, _>>());
        }
        event.set("/rawPath", self.path.as_str());
        event.set("/requestContext/http/path", self.path);
        event.set("/requestContext/http/method", self.method);
        if let Some(body) = self.body {
            event.set("/body", body.text);
            event.set("/isBase64Encoded", body.is_base64);
        }
        event
    }
}

/// A request to an API Gateway REST API, payload 1.0
#[derive(Clone, Debug, Args)]
pub(super) struct ApiGatewayV1 {
    #[command(flatten)]
    request: Request,

    /// The stage that it comes in by
    #[arg(long, value_name = "NAME", default_value = "prod")]
    stage: String,
}

impl ApiGatewayV1 {
    pub(super) fn event(self, place: &Place) -> Result<Document, Error> {
        let mut event = Document::new(include_str!("fixtures/api-gateway-v1.json"), place);
        let sent = self.request.sent()?;
        let headers = sent.headers(&event, str::to_owned);
        let last = |values: &[String]| values.last().cloned().unwrap_or_default();
        if let Some((_, agent)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            event.set("/requestContext/identity/userAgent", last(agent));
        }
        let single = headers
            .iter()
            .map(|(name, values)| (name.clone(), last(values).into()))
            .collect::<Map<_, _>>();
        event.set("/headers", single);
        let multi = headers.into_iter().map(|(name, values)| (name, values.into()));
        event.set("/multiValueHeaders", multi.collect::<Map<_, _>>());
        if !sent.query.is_empty() {
            let parameters = sent.parameters();
            let single = parameters
                .iter()
                .map(|(name, values)| ((*name).to_owned(), values.last().copied().into()));
            event.set("/queryStringParameters", single.collect::<Map<_, _>>());
            let multi = parameters
                .iter()
                .map(|(name, values)| ((*name).to_owned(), values.clone().into()));
            event.set("/multiValueQueryStringParameters", multi.collect::<Map<_, _>>());
        }
        // An API with a greedy resource, which does not take the root.
        let proxy = sent.path.trim_start_matches('/');
        if proxy.is_empty() {
            event.set("/resource", "/");
            event.set("/requestContext/resourcePath", "/");
            event.set("/pathParameters", Value::Null);
        } else {
            event.set("/pathParameters/proxy", proxy);
        }
        event.set("/requestContext/path", format!("/{}{}", self.stage, sent.path));
        event.set("/requestContext/stage", self.stage);
        event.set("/path", sent.path);
        event.set("/requestContext/httpMethod", sent.method.as_str());
        event.set("/httpMethod", sent.method);
        if let Some(body) = sent.body {
            event.set("/body", body.text);
            event.set("/isBase64Encoded", body.is_base64);
        }
        Ok(event)
    }
}

/// A request to an API Gateway HTTP API, payload 2.0
#[derive(Clone, Debug, Args)]
pub(super) struct ApiGatewayV2 {
    #[command(flatten)]
    request: Request,

    /// The route that it takes
    #[arg(long, value_name = "KEY", default_value = "$default")]
    route_key: String,
}

impl ApiGatewayV2 {
    pub(super) fn event(self, place: &Place) -> Result<Document, Error> {
        let mut event = Document::new(include_str!("fixtures/api-gateway-v2.json"), place);
        event.set("/routeKey", self.route_key.as_str());
        event.set("/requestContext/routeKey", self.route_key);
        Ok(self.request.sent()?.payload_2(event))
    }
}

/// A request to a function's URL, payload 2.0
#[derive(Clone, Debug, Args)]
pub(super) struct FunctionUrl {
    #[command(flatten)]
    request: Request,
}

impl FunctionUrl {
    pub(super) fn event(self, place: &Place) -> Result<Document, Error> {
        let event = Document::new(include_str!("fixtures/function-url.json"), place);
        // Source: documented that the type decides; which types those are is assumed, as behind a URL of `lambox serve`.
        let sent = self.request.sent()?.with_text_of(|essence| {
            is_text_to_a_load_balancer(essence) || essence.ends_with("+json") || essence.ends_with("+xml")
        });
        // Source: observed. The path in the context is decoded, and the cookies' header stays among the headers.
        let path = percent_decode_str(&sent.path).decode_utf8_lossy().into_owned();
        let cookie = sent.header("cookie");
        let mut event = sent.payload_2(event);
        event.set("/requestContext/http/path", path);
        if let Some(cookie) = cookie {
            event.set("/headers/cookie", cookie);
        }
        Ok(event)
    }
}

/// Source: documented, <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>: of these
/// types a body comes as a text, if it is not encoded.
fn is_text_to_a_load_balancer(essence: &str) -> bool {
    let texts = ["application/json", "application/javascript", "application/xml"];
    essence.starts_with("text/") || texts.contains(&essence)
}

/// A request to an Application Load Balancer, without multi-value headers
#[derive(Clone, Debug, Args)]
pub(super) struct Alb {
    #[command(flatten)]
    request: Request,
}

impl Alb {
    pub(super) fn event(self, place: &Place) -> Result<Document, Error> {
        let mut event = Document::new(include_str!("fixtures/alb.json"), place);
        let sent = self.request.sent()?.with_text_of(is_text_to_a_load_balancer);
        let headers = sent.headers(&event, str::to_ascii_lowercase);
        let headers = headers
            .into_iter()
            .map(|(name, mut values)| (name, Value::from(values.pop())));
        event.set("/headers", headers.collect::<Map<_, _>>());
        // Source: documented, <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>:
        // parameters come as they were sent, still encoded; of several values of one name the last is there.
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let parameters = sent
            .query
            .iter()
            .map(|Pair { name, value }| (encoded(name), Value::from(encoded(value))));
        event.set("/queryStringParameters", parameters.collect::<Map<_, _>>());
        event.set("/path", sent.path);
        event.set("/httpMethod", sent.method);
        if let Some(body) = sent.body {
            event.set("/body", body.text);
            event.set("/isBase64Encoded", body.is_base64);
        }
        Ok(event)
    }
}
