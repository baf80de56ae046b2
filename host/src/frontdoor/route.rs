//! What a request's method and path ask for.

use http::Method;

/// An operation of the service's, or a function's URL. Names are as they stand in the path, encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Invoke(&'a str),
    InvokeAsync(&'a str),
    InvokeWithResponseStream(&'a str),
    GetFunction(&'a str),
    GetFunctionConfiguration(&'a str),
    ListFunctions,
    GetAccountSettings,
    /// Whether the server lives.
    Health,
    /// What is counted and measured.
    Metrics,
    /// A function's URL, and the path behind the name.
    Url(&'a str, &'a str),
    /// Something that the service has and Lambox has not, and what there is instead.
    Absent(&'static str, &'static str),
    Unknown,
}

/// Where function URLs are.
const URL: &str = "/lambda-url/";

/// What is said of an operation that changes functions.
const GIVEN: &str = "functions and their settings are given to Lambox when it starts, and are not changed afterwards";

impl<'a> Route<'a> {
    /// The route of a request.
    pub(super) fn of(method: &Method, path: &'a str) -> Self {
        // By far the most requests are this one.
        if method == Method::POST
            && let Some(rest) = path.strip_prefix("/2015-03-31/functions/")
            && let Some(name) = rest.strip_suffix("/invocations")
            && !name.contains('/')
        {
            return Self::Invoke(name);
        }
        if let Some(rest) = path.strip_prefix(URL) {
            let (name, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
            return Self::Url(name, path);
        }
        let segments: Vec<_> = path.split('/').skip(1).collect();
        match (method.as_str(), &segments[..]) {
            ("POST", ["2021-11-15", "functions", name, "response-streaming-invocations"]) => {
                Self::InvokeWithResponseStream(name)
            }
            (
                "POST",
                ["2014-11-13", "functions", name, "invoke-async"]
                | ["2014-11-13", "functions", name, "invoke-async", ""],
            ) => Self::InvokeAsync(name),
            ("GET", ["2015-03-31", "functions"] | ["2015-03-31", "functions", ""]) => Self::ListFunctions,
            ("GET", ["2015-03-31", "functions", name]) => Self::GetFunction(name),
            ("GET", ["2015-03-31", "functions", name, "configuration"]) => Self::GetFunctionConfiguration(name),
            ("GET", ["2016-08-19", "account-settings"] | ["2016-08-19", "account-settings", ""]) => {
                Self::GetAccountSettings
            }
            ("GET", ["healthz"]) => Self::Health,
            ("GET", ["metrics"]) => Self::Metrics,
            (method, segments) => Self::absent(method, segments),
        }
    }

    fn absent(method: &str, segments: &[&str]) -> Self {
        let (operation, instead) = match (method, segments) {
            ("POST", ["2015-03-31", "functions"] | ["2015-03-31", "functions", ""]) => ("CreateFunction", GIVEN),
            ("DELETE", ["2015-03-31", "functions", _]) => ("DeleteFunction", GIVEN),
            ("PUT", ["2015-03-31", "functions", _, "code"]) => ("UpdateFunctionCode", GIVEN),
            ("PUT", ["2015-03-31", "functions", _, "configuration"]) => ("UpdateFunctionConfiguration", GIVEN),
            (_, ["2015-03-31", "functions", _, "versions", ..]) => ("an API of versions", GIVEN),
            (_, ["2015-03-31", "functions", _, "aliases", ..]) => ("an API of aliases", GIVEN),
            (_, ["2015-03-31", "functions", _, "policy", ..]) => (
                "an API of permissions",
                "everybody who reaches its port may invoke every function",
            ),
            (_, ["2017-10-31" | "2019-09-30", "functions", _, "concurrency"]) => {
                ("an API of concurrency limits", GIVEN)
            }
            (_, ["2019-09-30", "functions", _, "provisioned-concurrency"]) => {
                ("an API of provisioned concurrency", GIVEN)
            }
            (_, ["2019-09-25", "functions", _, "event-invoke-config", ..]) => {
                ("an API of asynchronous invocation", GIVEN)
            }
            (_, ["2021-10-31", "functions", _, "url" | "urls"]) => (
                "an API of function URLs",
                "every function has one, at /lambda-url/NAME/ on this port",
            ),
            (_, ["2015-03-31", "event-source-mappings", ..]) => (
                "event source mappings",
                "an event of any source can be sent as the payload of Invoke",
            ),
            (_, ["2018-10-31", "layers", ..]) => (
                "an API of layers",
                "layers are folders or archives, given when it starts",
            ),
            (_, ["2017-03-31", "tags", ..]) => ("tags", GIVEN),
            (_, ["2025-12-01", "durable-executions", ..]) => ("durable executions", "it invokes a function once"),
            _ => return Self::Unknown,
        };
        Self::Absent(operation, instead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_method_and_path() {
        for (method, path, route) in [
            (
                Method::POST,
                "/2015-03-31/functions/hello/invocations",
                Route::Invoke("hello"),
            ),
            (
                Method::POST,
                "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello/invocations",
                Route::Invoke("arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello"),
            ),
            (
                Method::POST,
                "/2014-11-13/functions/hello/invoke-async/",
                Route::InvokeAsync("hello"),
            ),
            (
                Method::POST,
                "/2014-11-13/functions/hello/invoke-async",
                Route::InvokeAsync("hello"),
            ),
            (
                Method::POST,
                "/2021-11-15/functions/hello/response-streaming-invocations",
                Route::InvokeWithResponseStream("hello"),
            ),
            (Method::GET, "/2015-03-31/functions", Route::ListFunctions),
            (Method::GET, "/2015-03-31/functions/", Route::ListFunctions),
            (Method::GET, "/2015-03-31/functions/hello", Route::GetFunction("hello")),
            (
                Method::GET,
                "/2015-03-31/functions/hello/configuration",
                Route::GetFunctionConfiguration("hello"),
            ),
            (Method::GET, "/healthz", Route::Health),
            (Method::GET, "/metrics", Route::Metrics),
            (Method::GET, "/2016-08-19/account-settings", Route::GetAccountSettings),
            (Method::GET, "/2016-08-19/account-settings/", Route::GetAccountSettings),
            (Method::DELETE, "/lambda-url/hello", Route::Url("hello", "")),
            (Method::GET, "/lambda-url/hello/", Route::Url("hello", "/")),
            (
                Method::GET,
                "/lambda-url/hello/a//b/invocations",
                Route::Url("hello", "/a//b/invocations"),
            ),
        ] {
            assert_eq!(Route::of(&method, path), route, "{method} {path}");
        }
    }

    #[test]
    fn what_the_service_has_and_lambox_has_not_is_named() {
        for (method, path, named) in [
            ("POST", "/2015-03-31/functions", "CreateFunction"),
            ("POST", "/2015-03-31/functions/", "CreateFunction"),
            ("DELETE", "/2015-03-31/functions/hello", "DeleteFunction"),
            ("PUT", "/2015-03-31/functions/hello/code", "UpdateFunctionCode"),
            (
                "PUT",
                "/2015-03-31/functions/hello/configuration",
                "UpdateFunctionConfiguration",
            ),
            ("GET", "/2015-03-31/functions/hello/versions", "versions"),
            ("POST", "/2015-03-31/functions/hello/aliases", "aliases"),
            ("GET", "/2015-03-31/functions/hello/aliases/live", "aliases"),
            ("GET", "/2015-03-31/functions/hello/policy", "permissions"),
            ("PUT", "/2017-10-31/functions/hello/concurrency", "concurrency"),
            ("GET", "/2019-09-30/functions/hello/concurrency", "concurrency"),
            (
                "PUT",
                "/2019-09-30/functions/hello/provisioned-concurrency",
                "provisioned",
            ),
            ("GET", "/2019-09-25/functions/hello/event-invoke-config", "asynchronous"),
            ("POST", "/2021-10-31/functions/hello/url", "URL"),
            ("GET", "/2015-03-31/event-source-mappings/", "event source"),
            ("GET", "/2018-10-31/layers", "layers"),
            ("GET", "/2017-03-31/tags/arn", "tags"),
        ] {
            let method = method.parse().expect("a method");
            let Route::Absent(operation, instead) = Route::of(&method, path) else {
                panic!("{method} {path} is not known to be absent")
            };
            assert!(
                operation.contains(named) && !instead.is_empty(),
                "{method} {path}: {operation}"
            );
        }
    }

    #[test]
    fn all_else_is_unknown() {
        for (method, path) in [
            (Method::GET, "/"),
            (Method::GET, "/2015-03-31/functions/hello/invocations"),
            (Method::POST, "/2015-03-31/functions/a/b/invocations"),
            (Method::POST, "/2015-03-31/functions/invocations"),
            (Method::PATCH, "/2015-03-31/functions/hello"),
            (Method::POST, "/2020-01-01/functions/hello/invocations"),
            (Method::GET, "/lambda-url"),
        ] {
            assert_eq!(Route::of(&method, path), Route::Unknown, "{method} {path}");
        }
    }
}
