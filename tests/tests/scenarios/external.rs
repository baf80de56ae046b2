//! Functions behind the front door whose runtime is a native program that attaches itself.

use axum::body::Body;
use lambox::{Deployment, FrontDoor, FunctionBuilder, RuntimeListener};
use lambox_tests::{Connection, FunctionBuilderExt as _, Transport, component, over, simulator, within};
use tower::ServiceExt as _;

use crate::front_door::{Door, invocations, refusal};

async fn waiting(functions: impl IntoIterator<Item = FunctionBuilder>) -> (Door, RuntimeListener) {
    let mut door = FrontDoor::builder();
    for function in functions {
        let function = function.build().expect("it is well configured");
        door = door.deploy(Deployment::new(function)).expect("it fits together");
    }
    let door = Door::of(door.build()).await;
    let listener = door
        .front
        .listen_for_runtimes("127.0.0.1:0".parse().expect("an address"));
    let listener = within(listener).await.expect("a port is free");
    (door, listener)
}

fn external(name: &str) -> FunctionBuilder {
    simulator().function(name).native_runtime().timeout_ms(60_000)
}

/// A native runtime that answers with what it was asked, each time on a connection of its own, as some clients do.
async fn serve(listener: &RuntimeListener, prefix: &str, times: usize) {
    for _ in 0..times {
        let mut connection = Connection::open(listener.local_addr()).await;
        let path = format!("{prefix}/2018-06-01/runtime/invocation");
        let next = connection.call("GET", &format!("{path}/next"), &[], "").await;
        assert_eq!(next.status, 200, "{next:?}");
        let id = next.header("lambda-runtime-aws-request-id").to_owned();
        let mut connection = Connection::open(listener.local_addr()).await;
        let answer = connection
            .call("POST", &format!("{path}/{id}/response"), &[], &next.body)
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}

/// An event comes back as it is.
async fn echoes(door: &Door, name: &str, event: &str) {
    let reply = door.invoke(name, &[], event).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, event), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_waits_until_a_runtime_is_there_and_all_are_served_by_it() {
    let (door, listener) = waiting([external("orders")]).await;
    let invoke = async |event| echoes(&door, "orders", event).await;
    // The first three come before it; one runtime serves them all, one after the other.
    let runtime = async {
        tokio::task::yield_now().await;
        serve(&listener, "", 3).await;
    };
    tokio::join!(invoke("1"), invoke("2"), invoke("3"), runtime);
    // With its name in the path, and after it has been away.
    tokio::join!(invoke("4"), serve(&listener, "/orders", 1));
    within(door.front.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_functions_are_told_apart_by_their_names_in_the_path() {
    let (door, listener) = waiting([external("one"), external("two"), over(Transport::Host, "echo")]).await;
    let mut connection = Connection::open(listener.local_addr()).await;
    let told = connection
        .call("GET", "/2018-06-01/runtime/invocation/next", &[], "")
        .await;
    assert_eq!(told.status, 404);
    assert!(told.body.contains("they are one, two"), "{}", told.body);
    let invoke = async |name, event| echoes(&door, name, event).await;
    tokio::join!(
        invoke("one", "1"),
        invoke("two", "2"),
        invoke("probe", "3"),
        serve(&listener, "/one", 1),
        serve(&listener, "/two", 1),
    );
    within(door.front.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_functions_are_told_apart_by_a_listener_of_each() {
    let (door, _all) = waiting([external("one"), external("two"), over(Transport::Host, "echo")]).await;
    let free = || "127.0.0.1:0".parse().expect("an address");
    let listen = async |name| {
        let listener = within(door.front.listen_for_runtime_of(name, free())).await;
        listener.expect("a port is free")
    };
    let (one, two) = (listen("one").await, listen("two").await);
    let invoke = async |name, event| echoes(&door, name, event).await;
    tokio::join!(
        invoke("one", "1"),
        invoke("two", "2"),
        serve(&one, "", 1),
        serve(&two, "/two", 1)
    );
    // A component has no need of one, and another's name in the path is no name here.
    let refused = door.front.listen_for_runtime_of("probe", free()).await;
    assert_eq!(
        refused.expect_err("it is a component").kind(),
        std::io::ErrorKind::NotFound
    );
    assert!(door.front.remove("two"));
    let mut connection = Connection::open(two.local_addr()).await;
    let told = connection
        .call("GET", "/2018-06-01/runtime/invocation/next", &[], "")
        .await;
    assert_eq!(told.line(), "404 No function `two` waits for a native runtime here.\n");
    within(door.front.shutdown()).await;
}

#[tokio::test]
async fn who_waits_for_a_runtime_goes_on_to_what_takes_the_functions_place() {
    let function = external("orders").build().expect("it is well configured");
    let door = FrontDoor::builder().function(function).build();
    let request = axum::http::Request::post(invocations("orders")).body(Body::from("1"));
    // In process, so that it waits when it has been polled once.
    let invoke = door.router().oneshot(request.expect("it is a request"));
    let replace = async {
        let component = component("echo");
        let function = simulator().function("orders").runtime(component).handler("echo");
        let function = function.env("LAMBOX_TRANSPORT", "host").build();
        let deployment = Deployment::new(function.expect("it is well configured"));
        door.deploy(deployment).expect("it fits together");
    };
    let (reply, ()) = within(async { tokio::join!(invoke, replace) }).await;
    let reply = reply.expect("it answers");
    assert_eq!(reply.status(), 200);
    let body = axum::body::to_bytes(reply.into_body(), usize::MAX).await;
    assert_eq!(body.expect("it is whole"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_takes_anothers_place_gets_its_invocation_again() {
    let (door, listener) = waiting([external("orders").hold_deadlines()]).await;
    let mut caller = door.connect().await;
    caller.send("POST", &invocations("orders"), &[], "1").await;
    let mut first = Connection::open(listener.local_addr()).await;
    let next = first.call("GET", "/2018-06-01/runtime/invocation/next", &[], "").await;
    assert_eq!((next.status, next.body.as_str()), (200, "1"));
    drop(first);
    serve(&listener, "", 1).await;
    assert_eq!(caller.receive().await.body, "1");
    tokio::join!(echoes(&door, "orders", "2"), serve(&listener, "", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_at_work_goes_on_to_the_end_when_its_function_is_replaced_or_taken_away() {
    for is_taken_away in [false, true] {
        let (door, listener) = waiting([external("orders").hold_deadlines()]).await;
        let mut first = door.connect().await;
        first.send("POST", &invocations("orders"), &[], "1").await;
        let path = "/2018-06-01/runtime/invocation";
        let mut runtime = Connection::open(listener.local_addr()).await;
        let next = runtime.call("GET", &format!("{path}/next"), &[], "").await;
        // In process, so that it waits behind the first one when it has been polled once.
        let second = axum::http::Request::post(invocations("orders")).body(Body::from("2"));
        let second = door.front.router().oneshot(second.expect("it is a request"));
        let rest = async {
            if is_taken_away {
                assert!(door.front.remove("orders"));
            } else {
                let function = external("orders")
                    .env("IS", "new")
                    .build()
                    .expect("it is well configured");
                let deployed = door.front.deploy(Deployment::new(function));
                deployed.expect("it fits together");
            }
            let id = next.header("lambda-runtime-aws-request-id");
            let answer = format!("{path}/{id}/response");
            let answer = runtime.call("POST", &answer, &[], &next.body).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            serve(&listener, "", 1).await;
        };
        let (second, ()) = within(async { tokio::join!(second, rest) }).await;
        let second = second.expect("it answers").into_body();
        let second = axum::body::to_bytes(second, usize::MAX).await;
        assert_eq!(second.expect("it is whole"), "2");
        assert_eq!(first.receive().await.line(), "200 1");
        if is_taken_away {
            let told = runtime.call("GET", &format!("{path}/next"), &[], "").await;
            assert!(told.line().starts_with("404 No function "), "{told:?}");
        } else {
            tokio::join!(echoes(&door, "orders", "3"), serve(&listener, "", 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_waits_goes_on_waiting_when_its_function_is_replaced() {
    let (door, listener) = waiting([external("orders")]).await;
    let path = "/2018-06-01/runtime/invocation";
    let mut runtime = Connection::open(listener.local_addr()).await;
    runtime.send("GET", &format!("{path}/next"), &[], "").await;
    for event in ["1", "2", "3"] {
        let mut caller = door.connect().await;
        // It has its answer when the invocation is over, which is when the runtime waits again.
        let tail = [("x-amz-log-type", "Tail")];
        caller.send("POST", &invocations("orders"), &tail, event).await;
        let next = runtime.receive().await;
        assert_eq!((next.status, next.body.as_str()), (200, event), "{next:?}");
        let id = next.header("lambda-runtime-aws-request-id");
        let answer = runtime.call("POST", &format!("{path}/{id}/response"), &[], event).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        runtime.send("GET", &format!("{path}/next"), &[], "").await;
        assert_eq!(caller.receive().await.body, event);
        let function = external("orders")
            .env("AFTER", event)
            .build()
            .expect("it is well configured");
        let deployed = door.front.deploy(Deployment::new(function));
        deployed.expect("it fits together");
    }
    assert!(door.front.remove("orders"));
    let told = runtime.receive().await;
    assert_eq!(
        told.line(),
        "404 No function `orders` waits for a native runtime here.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_version_is_invoked_it_is_the_one_runtime_that_serves_it() {
    let function = external("orders").build().expect("it is well configured");
    let live = lambox::AliasRoute::to("1");
    let deployment = Deployment::new(function).publish(1).alias("live", live);
    let door = FrontDoor::builder().deploy(deployment).expect("it fits together");
    let door = Door::of(door.build()).await;
    let listener = door
        .front
        .listen_for_runtimes("127.0.0.1:0".parse().expect("an address"));
    let listener = within(listener).await.expect("a port is free");
    let invoke = async |name, event| echoes(&door, name, event).await;
    tokio::join!(
        invoke("orders", "1"),
        invoke("orders:1", "2"),
        invoke("orders:live", "3"),
        serve(&listener, "", 3)
    );
    within(door.front.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_runtime_in_vain() {
    let function = external("orders")
        .hold_deadlines()
        .build()
        .expect("it is well configured");
    let closed = external("closed")
        .hold_deadlines()
        .build()
        .expect("it is well configured");
    let door = FrontDoor::builder().function(function);
    let door = door.deploy(Deployment::new(closed).reserved_concurrency(0));
    let door = Door::of(door.expect("it fits together").build()).await;
    let reply = door.invoke("closed", &[], "1").await;
    assert_eq!(reply.status, 429, "{reply:?}");
    let listener = door
        .front
        .listen_for_runtimes("127.0.0.1:0".parse().expect("an address"));
    let listener = within(listener).await.expect("a port is free");
    let mut runtime = Connection::open(listener.local_addr()).await;
    let told = runtime
        .call("GET", "/closed/2018-06-01/runtime/invocation/next", &[], "")
        .await;
    assert_eq!(
        told.line(),
        "503 The function `closed` can have no environment now: \
         ReservedFunctionConcurrentInvocationLimitExceeded.\n"
    );
    // In process, so that it waits when it has been polled once.
    let request = axum::http::Request::post(invocations("orders")).body(Body::from("1"));
    let invoke = door.front.router().oneshot(request.expect("it is a request"));
    let (reply, ()) = within(async { tokio::join!(invoke, door.front.shutdown()) }).await;
    assert_eq!(reply.expect("it answers").status(), 500, "it is shutting down");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_runtime_that_does_not_come_is_told_so() {
    let (door, _listener) = waiting([external("orders").timeout_ms(50)]).await;
    let reply = door.call("POST", &invocations("orders"), &[], "1").await;
    let told = refusal(&reply);
    assert!(told.starts_with("409 resourceconflictexception "), "{told}");
    assert!(told.contains("No runtime has attached itself."), "{told}");
    // Elsewhere than on the loopback, it is not listened.
    let outside = door
        .front
        .listen_for_runtimes("192.0.2.1:0".parse().expect("an address"));
    let refused = outside.await.expect_err("it is not of this machine");
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_a_debugger_stops_has_all_the_time_there_is() {
    let function = external("orders").timeout_ms(1).hold_deadlines();
    let (door, listener) = waiting([function]).await;
    let mut caller = door.connect().await;
    caller.send("POST", &invocations("orders"), &[], "1").await;
    // Longer than its timeout before a runtime is there, and once more in its hands.
    let longer = std::time::Duration::from_millis(50);
    tokio::time::sleep(longer).await;
    let mut runtime = Connection::open(listener.local_addr()).await;
    let path = "/2018-06-01/runtime/invocation";
    let next = runtime.call("GET", &format!("{path}/next"), &[], "").await;
    tokio::time::sleep(longer).await;
    let id = next.header("lambda-runtime-aws-request-id").to_owned();
    let deadline: u64 = next.header("lambda-runtime-deadline-ms").parse().expect("a number");
    assert!(deadline > 18_000_000_000_000, "{deadline}");
    let answer = runtime.call("POST", &format!("{path}/{id}/response"), &[], "2").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let reply = caller.receive().await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "2"), "{reply:?}");
}
