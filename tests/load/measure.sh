#!/bin/sh
# Measures the front door from outside: sh tests/load/measure.sh
#
# Needs wrk and python3, and a release build (cargo build --release --workspace --bins). Server and load share the machine.
# With AWS_LAMBDA_RIE=FILE, the Runtime Interface Emulator serves the same function, built natively, beside it; its binary is
# in the package aws-sam-cli of PyPI (samcli/local/rapid/aws-lambda-rie-x86_64). With CARGO_LAMBDA=FILE, so does cargo lambda
# watch; its binary cargo-lambda is in the package of that name.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lambox=$root/target/release/lambox
work=$(mktemp -d)
server=
collector=
trap 'for process in $server $collector ${runtime:-}; do kill "$process" 2>/dev/null || true; done; rm -rf "$work"' EXIT INT TERM

# serve ARGUMENT...: starts a server, and sets $url, $port and $name.
serve() {
    "$lambox" serve --port 0 --quiet "$@" > "$work/out" 2> "$work/err" &
    server=$!
    for _ in $(seq 200); do
        test "$(wc -l < "$work/out")" -ge 2 && break
        sleep 0.05
    done
    url=$(sed -n 's/^listening on //p' "$work/out")
    port=${url##*:}
    name=$(sed -n '2s/^ *\([^:]*\):.*/\1/p' "$work/out")
}

stop() {
    kill -INT "$server"
    wait "$server" || true
    server=
}

memory() {
    sed -n 's/^VmRSS: *//p' "/proc/$server/status"
}

# load SECONDS CONNECTIONS URL
load() {
    wrk -t1 -c"$2" -d"$1"s --timeout 10s --latency -s "$here/invoke.lua" "$3" |
        grep -E '^ +(50|99)%|requests in|Requests/sec|Non-2xx|Socket errors' | sed 's/^ */  /'
}

path=/2015-03-31/functions

echo "synchronous, hello-handler, 16 connections kept alive"
serve "$root/examples/hello-handler/hello-handler.wasm"
load 3 16 "$url$path/$name/invocations" > "$work/warm"
load 10 16 "$url$path/$name/invocations"

echo "one million and more in a row"
before=$(memory)
load 30 16 "$url$path/$name/invocations"
echo "  memory: $before before, $(memory) after"
stop

echo "the same with metrics, and with traces to a collector of OpenTelemetry's that takes them"
python3 "$here/collector.py" > "$work/collector" &
collector=$!
until test -s "$work/collector"; do sleep 0.05; done
serve "$root/examples/hello-handler/hello-handler.wasm" --metrics --otlp-endpoint "$(cat "$work/collector")"
load 10 16 "$url$path/$name/invocations"
echo "  memory: $(memory)"
stop
kill "$collector"
collector=

echo "each in a new environment, 16 connections"
serve "$root/examples/hello-handler/hello-handler.wasm" --idle-lifetime 0s --unlimited-scaling
load 10 16 "$url$path/$name/invocations"
echo "  memory: $(memory)"
stop

echo "1,000 at once in an environment each, guests that sleep a second; all are new, then all are there"
serve "$root/tests/guests/lambox-test-guests.wasm" -e LAMBOX_TRANSPORT=host --handler sleep-past-deadline --timeout 10s
for _ in 1 2; do
    echo "  $(python3 "$here/burst.py" "$port" "$path/$name/invocations" 1000 '{"ms":1000}')"
done
echo "  memory: $(memory)"
stop

echo "ten functions, from the start of the process"
cd "$root/examples"
for file in */*.wasm; do
    cp "$file" "$work/$(basename "$file" .wasm | tr . -).wasm"
done
set -- "$work"/*.wasm
while test $# -gt 10; do shift; done
echo "  $# components: $(python3 "$here/start.py" "$lambox" serve --port 0 --quiet "$@")"

# Others, by turns with the same function as a component here, one connection.
beside() {
    echo "hello as a component here, and natively in $1, by turns, one connection"
    for _ in 1 2 3; do
        serve "$root/examples/hello/hello.wasm"
        load 3 1 "$url$path/$name/invocations" | sed 's/^/  here: /'
        stop
        "$2"
        sleep 1
        load 3 1 "$3" | sed "s/^/  $1:/"
        test -z "$runtime" || kill "$runtime" 2>/dev/null || true
        kill "$server"
        wait "$server" 2>/dev/null || true
        pkill -f "$work/bootstrap" || true
        server= runtime=
    done
}

runtime=
cp "$root/target/release/hello" "$work/bootstrap"

emulator() {
    "$AWS_LAMBDA_RIE" --runtime-interface-emulator-address 127.0.0.1:18080 "$work/bootstrap" > "$work/rie" 2>&1 &
    server=$!
}

# Its server alone, so that what is measured is not what Cargo builds.
watch() {
    cd "$root/examples/hello"
    "$CARGO_LAMBDA" lambda watch --only-lambda-apis -A 127.0.0.1 -P 18081 > "$work/watch" 2>&1 &
    server=$!
    for _ in $(seq 200); do
        grep -q "starting Runtime server" "$work/watch" && break
        sleep 0.05
    done
    AWS_LAMBDA_FUNCTION_NAME=_ AWS_LAMBDA_FUNCTION_VERSION=1 AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128 \
        AWS_LAMBDA_RUNTIME_API=http://127.0.0.1:18081/.rt "$work/bootstrap" > "$work/runtime" 2>&1 &
    runtime=$!
}

if test -n "${AWS_LAMBDA_RIE:-}"; then
    beside "the Runtime Interface Emulator" emulator "http://127.0.0.1:18080$path/function/invocations"
fi
if test -n "${CARGO_LAMBDA:-}"; then
    beside "cargo lambda watch" watch "http://127.0.0.1:18081$path/_/invocations"
fi
