# What the engines have in common: packages that are installed if they are missing, and programs in the background, each
# with a log and a file that holds its process id, in $home.

# What for, then pairs `program:package`; a program is a name or a path.
install_missing() {
    purpose=$1
    shift
    packages=
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || packages="$packages ${pair#*:}"
    done
    [ -n "$packages" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "$purpose needs:$packages. Please install them." >&2
        return 1
    fi
    echo "installing$packages" >&2
    apt-get -qq update || true
    # Without policy-rc.d the packages would start engines of the machine's own.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install -y --no-install-recommends $packages >/dev/null
}

runs() {
    [ -s "$home/$1.pid" ] || return 1
    pid=$(cat "$home/$1.pid")
    # The number may be somebody else's by now; of one that has died and was not waited for, there is no command line.
    grep -qs "$1" "/proc/$pid/cmdline"
}

# A name, and the command. It keeps no lock that the script holds by way of descriptor 9.
spawn() {
    program=$1
    shift
    nohup setsid "$@" >>"$home/$program.log" 2>&1 </dev/null 9>&- &
    echo $! >"$home/$program.pid"
}

# Waits until a command succeeds; no longer than `must_run`, if that is set, runs.
await() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        if [ "$tries" -ge 600 ] || { [ -n "${must_run:-}" ] && ! runs "$must_run"; }; then
            echo "Waited in vain for: $*. The logs are in $home; they end with:" >&2
            tail -q -n 5 "$home"/*.log >&2 || true
            return 1
        fi
        sleep 0.2
    done
}

end() {
    runs "$1" || return 0
    kill "$pid"
    tries=0
    while runs "$1" && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$home/$1.pid"
}
