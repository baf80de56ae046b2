//! Which pages of other origins may call a function's URL.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// The cross-origin settings of a function URL, the service's `Cors`. In each list, `*` stands for all.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_Cors.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Whether cookies and credentials may be sent.
    pub allow_credentials: bool,
    /// The request headers that may be sent.
    pub allow_headers: Vec<String>,
    /// The methods that may be used.
    pub allow_methods: Vec<String>,
    /// The origins that may call.
    pub allow_origins: Vec<String>,
    /// The response headers that a page may read.
    pub expose_headers: Vec<String>,
    /// For how many seconds a browser may keep the answer to a preflight; 0 is not told.
    pub max_age: u32,
}

impl Cors {
    /// The answer to a preflight, which no function is invoked for: the headers of an empty answer with the status 200.
    /// None where the request is no preflight, and so the function's.
    ///
    /// Source: observed. A preflight is an `OPTIONS` with an origin and a method that is asked for; one that asks for too
    /// much is answered with 200 too, without a header that allows anything.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<HeaderMap> {
        let origin = headers.get(ORIGIN)?;
        let wanted = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if method != Method::OPTIONS {
            return None;
        }
        let mut answer = HeaderMap::new();
        let is_allowed = self.allows_origin(origin)
            && allows(&self.allow_methods, wanted.as_bytes(), false)
            && headers
                .get_all(ACCESS_CONTROL_REQUEST_HEADERS)
                .iter()
                .flat_map(|names| names.as_bytes().split(|&byte| byte == b','))
                .map(<[u8]>::trim_ascii)
                .filter(|name| !name.is_empty())
                .all(|name| allows(&self.allow_headers, name, true));
        if !is_allowed {
            return Some(answer);
        }
        self.allow_origin(origin, &mut answer);
        insert_list(&mut answer, ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers);
        insert_list(&mut answer, ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods);
        if self.max_age > 0 {
            answer.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.into());
        }
        Some(answer)
    }

    /// Adds what an answer of the function's needs, if the request came from an origin that may call.
    ///
    /// Source: observed. What the function says itself stays beside it; only the headers to expose become one list.
    pub(super) fn amend(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        let Some(origin) = request.get(ORIGIN).filter(|origin| self.allows_origin(origin)) else {
            return;
        };
        self.allow_origin(origin, answer);
        if !self.expose_headers.is_empty() {
            let mut names = Vec::new();
            if let Some(of_function) = answer.get(ACCESS_CONTROL_EXPOSE_HEADERS) {
                names.push(String::from_utf8_lossy(of_function.as_bytes()).into_owned());
            }
            names.extend_from_slice(&self.expose_headers);
            insert_list(answer, ACCESS_CONTROL_EXPOSE_HEADERS, &names);
        }
    }

    fn allows_origin(&self, origin: &HeaderValue) -> bool {
        allows(&self.allow_origins, origin.as_bytes(), false)
    }

    fn allow_origin(&self, origin: &HeaderValue, answer: &mut HeaderMap) {
        if self.allow_origins.iter().any(|allowed| allowed == "*") && !self.allow_credentials {
            answer.append(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            answer.append(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.append(VARY, HeaderValue::from_static("Origin"));
        }
        if self.allow_credentials {
            answer.append(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

fn allows(list: &[String], wanted: &[u8], ignores_case: bool) -> bool {
    list.iter()
        .map(String::as_bytes)
        .any(|allowed| allowed == b"*" || allowed == wanted || (ignores_case && allowed.eq_ignore_ascii_case(wanted)))
}

fn insert_list(headers: &mut HeaderMap, name: HeaderName, list: &[String]) {
    // What is no header value cannot be one that a browser asks for.
    if let Ok(value) = HeaderValue::try_from(list.join(","))
        && !list.is_empty()
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors() -> Cors {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Cors {
            allow_credentials: true,
            allow_headers: list(&["x-allowed", "content-type"]),
            allow_methods: list(&["GET", "POST"]),
            allow_origins: list(&["https://allowed.example"]),
            expose_headers: list(&["x-owned"]),
            max_age: 321,
        }
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    fn told(headers: &HeaderMap) -> Vec<String> {
        let mut told: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("a text")))
            .collect();
        told.sort();
        told
    }

    const ALLOWED: (&str, &str) = ("origin", "https://allowed.example");
    const POST: (&str, &str) = ("access-control-request-method", "POST");

    #[test]
    fn a_preflight_is_answered_as_the_service_answers_it() {
        let full = [
            "access-control-allow-credentials: true",
            "access-control-allow-headers: x-allowed,content-type",
            "access-control-allow-methods: GET,POST",
            "access-control-allow-origin: https://allowed.example",
            "access-control-max-age: 321",
            "vary: Origin",
        ];
        let asks_for = |names| ("access-control-request-headers", names);
        for (request, expected) in [
            (vec![ALLOWED, POST], &full[..]),
            (vec![ALLOWED, POST, asks_for("x-allowed,content-type")], &full),
            (vec![ALLOWED, POST, asks_for("X-Allowed, Content-Type")], &full),
            (vec![ALLOWED, POST, asks_for("x-not-allowed")], &[]),
            (vec![ALLOWED, ("access-control-request-method", "DELETE")], &[]),
            (vec![("origin", "https://other.example"), POST], &[]),
        ] {
            let answer = cors().preflight(&Method::OPTIONS, &headers(&request));
            assert_eq!(told(&answer.expect("it is a preflight")), expected, "{request:?}");
        }
    }

    #[test]
    fn what_is_no_preflight_is_the_functions() {
        for (method, request) in [
            (Method::OPTIONS, &[ALLOWED][..]),
            (Method::OPTIONS, &[POST]),
            (Method::OPTIONS, &[]),
            (Method::POST, &[ALLOWED, POST]),
        ] {
            assert_eq!(
                cors().preflight(&method, &headers(request)),
                None,
                "{method} {request:?}"
            );
        }
    }

    #[test]
    fn an_answer_keeps_what_the_function_says_beside_what_is_configured() {
        let of_function = [
            ("access-control-allow-origin", "https://handler.example"),
            ("access-control-allow-credentials", "false"),
            ("access-control-expose-headers", "x-handler"),
        ];
        let mut answer = headers(&of_function);
        cors().amend(&headers(&[ALLOWED]), &mut answer);
        assert_eq!(
            told(&answer),
            [
                "access-control-allow-credentials: false",
                "access-control-allow-credentials: true",
                "access-control-allow-origin: https://allowed.example",
                "access-control-allow-origin: https://handler.example",
                "access-control-expose-headers: x-handler,x-owned",
                "vary: Origin",
            ]
        );
        for origin in [&[("origin", "https://other.example")][..], &[]] {
            let mut answer = headers(&of_function);
            cors().amend(&headers(origin), &mut answer);
            assert_eq!(answer, headers(&of_function), "{origin:?}");
        }
    }

    #[test]
    fn a_star_allows_every_origin() {
        let all = || vec!["*".to_owned()];
        let open = Cors {
            allow_origins: all(),
            allow_methods: all(),
            allow_headers: all(),
            ..Cors::default()
        };
        let request = [
            ("origin", "https://any.example"),
            ("access-control-request-method", "PURGE"),
            ("access-control-request-headers", "x-anything"),
        ];
        let answer = open
            .preflight(&Method::OPTIONS, &headers(&request))
            .expect("a preflight");
        assert_eq!(
            told(&answer),
            [
                "access-control-allow-headers: *",
                "access-control-allow-methods: *",
                "access-control-allow-origin: *"
            ]
        );
        let with_credentials = Cors {
            allow_credentials: true,
            ..open
        };
        let mut answer = HeaderMap::new();
        with_credentials.amend(&headers(&request), &mut answer);
        // A browser takes no star together with credentials.
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://any.example");
    }
}
