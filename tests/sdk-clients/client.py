"""What the front door promises, through boto3. The endpoint is in AWS_ENDPOINT_URL."""

import base64
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(attempts=1):
    return boto3.client("lambda", config=Config(retries={"mode": "standard", "total_max_attempts": attempts}))


def refusal(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status, error.response["Error"]["Code"], error
    raise AssertionError(f"{arguments} were taken")


aws = client()

# A synchronous invocation, by each form of the name.
arn = aws.get_function(FunctionName="hello")["Configuration"]["FunctionArn"]
account = arn.split(":")[4]
for name in ["hello", "hello:$LATEST", f"{account}:function:hello", arn, f"{arn}:$LATEST"]:
    answer = aws.invoke(FunctionName=name, Payload=b'{"name":"Ada"}')
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
    assert "FunctionError" not in answer and "LogResult" not in answer, answer
    assert answer["Payload"].read() == b'{"message":"Hello, Ada!"}'
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-trace-id"].startswith("Root=1-"), headers
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36, answer

# The end of the log, and the request's id in it.
answer = aws.invoke(FunctionName="hello", Qualifier="$LATEST", LogType="Tail", Payload=b'{"name":"Ada"}')
log = base64.b64decode(answer["LogResult"]).decode()
assert f"START RequestId: {answer['ResponseMetadata']['RequestId']} Version: $LATEST" in log, log
assert "\nREPORT RequestId: " in log, log

# A function's error is an answer.
answer = aws.invoke(FunctionName="hello", Payload=b"[]")
assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled"), answer
assert "errorMessage" in json.load(answer["Payload"])

# The client context and the tenant's absence.
context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
assert aws.invoke(FunctionName="hello", ClientContext=context, Payload=b'{"name":"Ada"}')["StatusCode"] == 200
status, code, _ = refusal(aws.invoke, FunctionName="hello", ClientContext="no base64")
assert (status, code) == (400, "InvalidRequestContentException")

# A dry run.
answer = aws.invoke(FunctionName="hello", InvocationType="DryRun")
assert answer["StatusCode"] == 204 and answer["Payload"].read() == b"", answer

# There is no queue for events, and none is lost.
event = aws.invoke(FunctionName="hello", InvocationType="Event", Payload=b'{"name":"Ada"}')
assert (event["StatusCode"], event["Payload"].read()) == (202, b"")

# Refusals, each as the exception that the SDK knows.
for arguments, status, code in [
    ({"FunctionName": "nobody"}, 404, "ResourceNotFoundException"),
    ({"FunctionName": "hello", "Qualifier": "7"}, 404, "ResourceNotFoundException"),
    ({"FunctionName": "hello", "Payload": b"{"}, 400, "InvalidRequestContentException"),
    ({"FunctionName": "hello:live", "Qualifier": "other"}, 400, "InvalidParameterValueException"),
    ({"FunctionName": "hello", "TenantId": "blue"}, 400, "InvalidParameterValueException"),
    ({"FunctionName": "hello", "Payload": b'"' + b"x" * (6 << 20) + b'"'}, 413, "RequestTooLargeException"),
]:
    refused = refusal(aws.invoke, **arguments)
    assert refused[:2] == (status, code), (list(arguments), refused)
    assert isinstance(refused[2], getattr(aws.exceptions, code)), refused
assert refusal(aws.create_alias, FunctionName="hello", Name="a", FunctionVersion="1")[0] == 501

# A stream: each piece as it comes, then its end.
stream = aws.invoke_with_response_stream(FunctionName="streaming", LogType="Tail", Payload=b'{"lines":3}')
assert stream["ExecutedVersion"] == "$LATEST", stream
events = list(stream["EventStream"])
payload = b"".join(event["PayloadChunk"]["Payload"] for event in events[:-1])
assert payload.endswith(b"\0\0\0\0\0\0\0\x001\n2\n3\n"), payload
complete = events[-1]["InvokeComplete"]
assert "ErrorCode" not in complete, complete
assert "REPORT RequestId" in base64.b64decode(complete["LogResult"]).decode()

# The control plane, and its waiters.
assert aws.get_function_configuration(FunctionName="hello")["State"] == "Active"
names = {function["FunctionName"] for function in aws.get_paginator("list_functions").paginate().build_full_result()["Functions"]}
assert {"hello", "streaming"} <= names, names
settings = aws.get_account_settings()
assert settings["AccountLimit"]["ConcurrentExecutions"] == 1000, settings
for waiter in ["function_active_v2", "function_exists", "function_updated_v2"]:
    aws.get_waiter(waiter).wait(FunctionName="hello")

# A function that takes one at a time: who comes second is throttled, and served when it tries again.
busy = iter(aws.invoke_with_response_stream(FunctionName="one", Payload=b'{"lines":1,"pause_ms":1500}')["EventStream"])
next(busy)
status, code, error = refusal(aws.invoke, FunctionName="one", Payload=b'{"lines":1}')
assert (status, code) == (429, "TooManyRequestsException"), error
assert error.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded", error.response
assert error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"], error.response
answer = client(attempts=20).invoke(FunctionName="one", Payload=b'{"lines":1}')
assert answer["StatusCode"] == 200 and answer["ResponseMetadata"]["RetryAttempts"] > 0, answer
assert list(busy)[-1] == {"InvokeComplete": {}}

print("all is well")
