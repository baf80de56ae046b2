// What the front door promises, through the JavaScript SDK. The endpoint is in AWS_ENDPOINT_URL.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const lambda = require("@aws-sdk/client-lambda");

const client = (maxAttempts = 1) => new lambda.LambdaClient({ maxAttempts });
const aws = client();
const json = (value) => new TextEncoder().encode(JSON.stringify(value));
const text = (bytes) => new TextDecoder().decode(bytes);

async function refusal(command) {
  try {
    await aws.send(command);
  } catch (error) {
    return [error.$metadata.httpStatusCode, error.name, error];
  }
  throw new Error("it was taken");
}

const { Configuration } = await aws.send(new lambda.GetFunctionCommand({ FunctionName: "hello" }));
for (const FunctionName of ["hello", "hello:$LATEST", Configuration.FunctionArn]) {
  const answer = await aws.send(new lambda.InvokeCommand({ FunctionName, Payload: json({ name: "Ada" }) }));
  assert.equal(answer.StatusCode, 200);
  assert.equal(answer.ExecutedVersion, "$LATEST");
  assert.equal(answer.FunctionError, undefined);
  assert.equal(text(answer.Payload), '{"message":"Hello, Ada!"}');
}

const tail = await aws.send(
  new lambda.InvokeCommand({ FunctionName: "hello", LogType: "Tail", Payload: json({ name: "Ada" }) }),
);
assert.match(Buffer.from(tail.LogResult, "base64").toString(), new RegExp(`REPORT RequestId: ${tail.$metadata.requestId}`));

const failed = await aws.send(new lambda.InvokeCommand({ FunctionName: "hello", Payload: json([]) }));
assert.equal(failed.FunctionError, "Unhandled");

const dry = await aws.send(new lambda.InvokeCommand({ FunctionName: "hello", InvocationType: "DryRun" }));
assert.equal(dry.StatusCode, 204);

for (const [input, status, name] of [
  [{ FunctionName: "nobody" }, 404, "ResourceNotFoundException"],
  [{ FunctionName: "hello", Payload: "{" }, 400, "InvalidRequestContentException"],
  [{ FunctionName: "hello:a", Qualifier: "b" }, 400, "InvalidParameterValueException"],
]) {
  const refused = await refusal(new lambda.InvokeCommand(input));
  assert.deepEqual(refused.slice(0, 2), [status, name]);
  assert.ok(refused[2] instanceof lambda[name], `${name} is one of the SDK's`);
}

const stream = await aws.send(
  new lambda.InvokeWithResponseStreamCommand({ FunctionName: "streaming", LogType: "Tail", Payload: json({ lines: 3 }) }),
);
assert.equal(stream.ResponseStreamContentType, "application/vnd.amazon.eventstream");
let payload = "";
let complete;
for await (const event of stream.EventStream) {
  if (event.PayloadChunk) payload += text(event.PayloadChunk.Payload);
  if (event.InvokeComplete) complete = event.InvokeComplete;
}
assert.ok(payload.endsWith(`${"\0".repeat(8)}1\n2\n3\n`), JSON.stringify(payload));
assert.equal(complete.ErrorCode, undefined);
assert.match(Buffer.from(complete.LogResult, "base64").toString(), /REPORT RequestId/);

await lambda.waitUntilFunctionActiveV2({ client: aws, maxWaitTime: 60 }, { FunctionName: "hello" });
const { Functions } = await aws.send(new lambda.ListFunctionsCommand({}));
assert.ok(Functions.some(({ FunctionName }) => FunctionName === "streaming"));

// A function that takes one at a time: who comes second is throttled, and served when it tries again.
const one = (Payload) => ({ FunctionName: "one", Payload: json(Payload) });
const busy = await aws.send(new lambda.InvokeWithResponseStreamCommand(one({ lines: 1, pause_ms: 1500 })));
const pieces = busy.EventStream[Symbol.asyncIterator]();
await pieces.next();
const [status, name, throttled] = await refusal(new lambda.InvokeCommand(one({ lines: 1 })));
assert.deepEqual([status, name], [429, "TooManyRequestsException"]);
assert.ok(throttled instanceof lambda.TooManyRequestsException);
assert.equal(throttled.Reason, "ReservedFunctionConcurrentInvocationLimitExceeded");
assert.ok(throttled.retryAfterSeconds);
const retried = await client(20).send(new lambda.InvokeCommand(one({ lines: 1 })));
assert.ok(retried.$metadata.attempts > 1);
while (!(await pieces.next()).done);

console.log("all is well");
