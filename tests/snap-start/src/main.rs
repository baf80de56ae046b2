//! A function on the official `lambda_runtime` crate with hooks around its snapshot.
//!
//! Any event. The answer `{"hooks":[...]}` names the hooks in the order in which they ran; they are those of two resources,
//! `first` and `second`. With `HOOK_FAILS` set to such a name, that hook fails.

use std::sync::{Arc, Mutex};

use lambda_runtime::{BoxFuture, Error, LambdaEvent, Runtime, SnapStartResource, service_fn};
use serde_json::{Value, json};

static HOOKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Resource(&'static str);

impl Resource {
    fn ran(&self, hook: &str) -> Result<(), Error> {
        let name = format!("{hook} {}", self.0);
        let fails = std::env::var("HOOK_FAILS").is_ok_and(|fails| fails == name);
        HOOKS.lock().map_err(|error| error.to_string())?.push(name);
        if fails { Err("the hook failed".into()) } else { Ok(()) }
    }
}

impl SnapStartResource for Resource {
    fn before_snapshot(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { self.ran("before_snapshot") })
    }

    fn after_restore(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { self.ran("after_restore") })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Runtime::new(service_fn(async |_: LambdaEvent<Value>| {
        let hooks = HOOKS.lock().map_err(|error| error.to_string())?;
        Ok::<_, Error>(json!({ "hooks": *hooks }))
    }))
    .register_snapstart_resource(Arc::new(Resource("first")))
    .register_snapstart_resource(Arc::new(Resource("second")))
    .run()
    .await
}
