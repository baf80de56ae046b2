use lambda_extension::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_extension::run(service_fn(|_: LambdaEvent| async { Ok::<(), Error>(()) })).await
}
