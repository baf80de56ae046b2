#!/bin/sh
# What the front door promises, through the AWS CLI (either version). The endpoint is in AWS_ENDPOINT_URL, `aws` on the
# path.
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export AWS_PAGER="" AWS_MAX_ATTEMPTS=1
fail() { echo "$1" >&2; exit 1; }

echo '{"name":"Ada"}' >"$out/event"
echo '[]' >"$out/wrong"
aws lambda invoke --function-name hello --payload "fileb://$out/event" \
    --log-type Tail --query LogResult --output text "$out/payload" | base64 -d >"$out/log"
[ "$(cat "$out/payload")" = '{"message":"Hello, Ada!"}' ] || fail "payload: $(cat "$out/payload")"
grep -q '^REPORT RequestId: ' "$out/log" || fail "log: $(cat "$out/log")"

error=$(aws lambda invoke --function-name hello --payload "fileb://$out/wrong" --query FunctionError --output text "$out/payload")
[ "$error" = Unhandled ] || fail "function error: $error"

status=$(aws lambda invoke --function-name hello --invocation-type DryRun --query StatusCode --output text "$out/payload")
[ "$status" = 204 ] || fail "dry run: $status"

if aws lambda invoke --function-name nobody "$out/payload" 2>"$out/error"; then fail "nobody was invoked"; fi
grep -q 'An error occurred (ResourceNotFoundException) when calling the Invoke operation: Function not found: arn:aws:lambda:' \
    "$out/error" || fail "$(cat "$out/error")"

if aws lambda invoke --function-name none "$out/payload" 2>"$out/error"; then fail "it was not throttled"; fi
grep -q '(TooManyRequestsException)' "$out/error" || fail "$(cat "$out/error")"

aws lambda wait function-active-v2 --function-name hello
aws lambda list-functions --query 'Functions[].FunctionName' --output text | grep -qw streaming || fail "list-functions"
aws lambda get-function-configuration --function-name hello --query State --output text | grep -qx Active || fail "state"
limit=$(aws lambda get-account-settings --query AccountLimit.ConcurrentExecutions --output text)
[ "$limit" = 1000 ] || fail "limit: $limit"
echo "all is well"
