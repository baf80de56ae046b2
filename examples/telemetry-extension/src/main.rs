//! Prints what the Telemetry API, or the Logs API if `LOGS_API` is set, tells of the platform and the function: an
//! extension on the official `lambda-extension` crate, as one would write it for AWS.

use lambda_extension::{
    Error, Extension, LambdaLog, LambdaLogRecord, LambdaTelemetry, LambdaTelemetryRecord, LogBuffering, SharedService,
    service_fn,
};

#[expect(clippy::print_stdout, reason = "what an extension prints is its log")]
async fn on_telemetry(events: Vec<LambdaTelemetry>) -> Result<(), Error> {
    for event in events {
        match event.record {
            LambdaTelemetryRecord::Function(line) => println!("telemetry: function {}", line.trim_end()),
            LambdaTelemetryRecord::PlatformInitStart { .. } => println!("telemetry: initStart"),
            LambdaTelemetryRecord::PlatformStart { request_id, .. } => println!("telemetry: start {request_id}"),
            LambdaTelemetryRecord::PlatformRuntimeDone { request_id, .. } => {
                println!("telemetry: runtimeDone {request_id}");
            }
            LambdaTelemetryRecord::PlatformReport { request_id, .. } => println!("telemetry: report {request_id}"),
            _ => {}
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what an extension prints is its log")]
async fn on_logs(logs: Vec<LambdaLog>) -> Result<(), Error> {
    for log in logs {
        match log.record {
            LambdaLogRecord::Function(line) => println!("logs: function {}", line.trim_end()),
            LambdaLogRecord::PlatformStart { request_id } => println!("logs: start {request_id}"),
            LambdaLogRecord::PlatformRuntimeDone { request_id, .. } => println!("logs: runtimeDone {request_id}"),
            LambdaLogRecord::PlatformReport { request_id, .. } => println!("logs: report {request_id}"),
            _ => {}
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let buffering = LogBuffering {
        timeout_ms: 25,
        ..LogBuffering::default()
    };
    if std::env::var_os("LOGS_API").is_some() {
        Extension::new()
            .with_log_buffering(buffering)
            .with_logs_processor(SharedService::new(service_fn(on_logs)))
            .run()
            .await
    } else {
        Extension::new()
            .with_telemetry_buffering(buffering)
            .with_telemetry_processor(SharedService::new(service_fn(on_telemetry)))
            .run()
            .await
    }
}
