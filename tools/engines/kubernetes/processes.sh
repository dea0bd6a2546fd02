# Programs in the background, each with a log and a file that holds its process id, in $home.

runs() {
    [ -s "$home/$1.pid" ] || return 1
    pid=$(cat "$home/$1.pid")
    # The number may be somebody else's by now; of one that has died and was not waited for, there is no command line.
    grep -qs "$1" "/proc/$pid/cmdline"
}

spawn() {
    program=$1
    shift
    nohup setsid "$@" >>"$home/$program.log" 2>&1 </dev/null &
    echo $! >"$home/$program.pid"
}

await() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        if [ "$tries" -ge 600 ]; then
            echo "Waited in vain for: $*. The logs are in $home." >&2
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
