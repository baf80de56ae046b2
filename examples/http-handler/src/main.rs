//! Answers HTTP requests to its URL: a function on the official `lambda_http` crate, as one would write it for AWS.
//!
//! It greets whom the query names; `/cookies` sets two cookies, `/bytes` answers with bytes that are no text, `/echo`
//! sends the body back, `/status/N` has the status `N`, and `/context` is what the function knows of its invocation.

use lambda_http::http::{StatusCode, header};
use lambda_http::{Body, Error, Request, RequestExt as _, Response, run, service_fn};

async fn handler(request: Request) -> Result<Response<Body>, Error> {
    let path = request.raw_http_path().trim_start_matches('/');
    let answer = Response::builder();
    let answer = match path.split_once('/').unwrap_or((path, "")) {
        ("cookies", _) => answer
            .header(header::SET_COOKIE, "a=1; Path=/")
            .header(header::SET_COOKIE, "b=2; HttpOnly")
            .body(Body::Empty)?,
        ("bytes", _) => answer
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Body::Binary(vec![b'A', 0, 255, b'\n']))?,
        ("echo", _) => {
            let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
            let mut answer = answer.body(request.into_body())?;
            answer
                .headers_mut()
                .extend(content_type.map(|value| (header::CONTENT_TYPE, value)));
            answer
        }
        ("context", _) => answer
            .header(header::CONTENT_TYPE, "application/json")
            .body(serde_json::to_string(&request.lambda_context())?.into())?,
        ("status", code) => answer.status(code.parse::<StatusCode>()?).body(Body::Empty)?,
        ("fail", _) => return Err("as asked".into()),
        _ => {
            let parameters = request.query_string_parameters();
            let name = parameters.first("name").unwrap_or("stranger");
            answer
                .header(header::CONTENT_TYPE, "text/plain")
                .body(format!("{} {name}, by {}\n", greeting(&request), request.method()).into())?
        }
    };
    Ok(answer)
}

fn greeting(request: &Request) -> &'static str {
    let is_german = |value: &header::HeaderValue| value.as_bytes().starts_with(b"de");
    if request.headers().get(header::ACCEPT_LANGUAGE).is_some_and(is_german) {
        "Hallo"
    } else {
        "Hello"
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handler)).await
}
