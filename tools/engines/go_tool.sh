#!/bin/sh
# Builds a tool of the tests from its Go module, once, and prints where it is: those that check the deployment's files,
# and an S3 server.
#
#     sh tools/engines/go_tool.sh helm|compose|versitygw
#
# It is kept under ${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}. Needs go, and minutes the first time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
name=${1:-}
case $name in
helm) package=helm.sh/helm/v3/cmd/helm ;;
compose) package=github.com/docker/compose/v2/cmd ;;
versitygw) package=github.com/versity/versitygw/cmd/versitygw ;;
*)
    echo "usage: sh tools/engines/go_tool.sh helm|compose|versitygw" >&2
    exit 2
    ;;
esac

home=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}/$name
binary=$home/$name-$(cat "$here/$name/go.mod" "$here/$name/go.sum" | sha256sum | cut -c 1-16)
if [ ! -x "$binary" ]; then
    if ! command -v go >/dev/null; then
        echo "$name is built with go, and there is none. Please install it." >&2
        exit 1
    fi
    echo "building $name (minutes, once)" >&2
    mkdir -p "$home"
    (cd "$here/$name" && go build -mod=readonly -trimpath -ldflags="-s -w" -o "$home/building" "$package") >&2
    mv "$home/building" "$binary"
fi
echo "$binary"
