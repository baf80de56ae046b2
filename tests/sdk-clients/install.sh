#!/bin/sh
# Installs clients of the service into a folder, each as far as this machine allows, with no more than the ordinary
# package registries: boto3 and the AWS CLI from PyPI, the JavaScript SDK from npm, aws-sdk-lambda from crates.io. What
# cannot be installed is said and left out. Needs python3, npm and cargo.
#
# Usage: install.sh FOLDER; then LAMBOX_SDK_CLIENTS=FOLDER cargo test --workspace --test scenarios -- sdks --ignored
set -u
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: install.sh FOLDER}" && cd "$1" || exit 1
root=$PWD
left_out() { echo "left out: $1" >&2; }

{ python3 -m venv py && py/bin/pip install -q boto3 awscli; } || left_out "boto3 and the AWS CLI"

[ -f package.json ] || npm init -y >/dev/null
npm install --silent @aws-sdk/client-lambda || left_out "the JavaScript SDK"

CARGO_TARGET_DIR="$root/rust" cargo build --manifest-path "$here/rust/Cargo.toml" || left_out "aws-sdk-lambda"
