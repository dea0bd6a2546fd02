#!/bin/sh
# Becomes the bot. One that is not headless first gets a display, and its browser none that others could reach:
# no network, no abstract socket, only a file in this container's own /tmp.
set -eu

give_display() {
    number=$(mktemp)
    Xvfb -displayfd 3 -screen 0 1280x720x24 -nolisten tcp -nolisten local >/dev/null 2>&1 3>"$number" &
    tries=0
    until [ -s "$number" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            echo "usher: there is no display: Xvfb does not start" >&2
            exit 1
        fi
        sleep 0.1
    done
    DISPLAY=:$(cat "$number")
    export DISPLAY
    rm -f "$number"
}

# In the JSON document quotes inside of values are escaped, so only the field itself can look like this.
case ${USHER_BOT:-} in
*'"headless":false'*) give_display ;;
esac
# Launchers may hand down a home that is not this image's.
[ -w "${HOME:-/}" ] || HOME=$(mktemp -d)
export HOME
exec /opt/usher/bin/python -m usher.cli.bot
