use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        if event.payload["fail"] == true {
            return Err(Error::from("as asked"));
        }
        Ok(json!({ "echo": event.payload }))
    }))
    .await
}
