# Sourced by the scripts beside it: one line a phase with the time since the start, a sign of
# life in long ones, and the end of the log where one fails.
set -euo pipefail
export LC_ALL=C
export TRUELIFT_SETUP_STARTED="${TRUELIFT_SETUP_STARTED:-$(date +%s)}"

cache_folder=${XDG_CACHE_HOME:-~/.cache}/truelift

say() {
    printf 'setup %4d s  %s\n' $(($(date +%s) - TRUELIFT_SETUP_STARTED)) "$*"
}

# fail LINE...: what is wrong, what was expected and what to do; exit status 2.
fail() {
    printf 'setup: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 2
}

# phase TEXT COMMAND...: run the command with its output kept for the case that it fails.
phase() {
    local text=$1 log began heartbeat status
    shift
    log=$(mktemp)
    began=$(date +%s)
    say "$text"
    # 'read -t' waits without a child process that would outlive this script.
    while ! read -rt 30 && kill -0 $$; do
        say "  still at it after $(($(date +%s) - began)) s"
    done <> <(:) &
    heartbeat=$!
    trap 'kill "$heartbeat" 2>/dev/null; exit 130' INT TERM
    # In a subshell of its own, and not before '||', so that 'set -e' holds inside functions.
    set +e
    (set -e && "$@") >"$log" 2>&1 </dev/null
    status=$?
    set -e
    trap - INT TERM
    kill "$heartbeat" 2>/dev/null || true
    wait "$heartbeat" 2>/dev/null || true
    if ((status)); then
        tail -n 30 "$log" >&2
        # A compiler's own words are often far above the end.
        grep -nE '(^|[ :])(fatal )?error: ' "$log" | head -n 5 >&2 || true
        printf 'setup: failed (status %d): %s\n  The command: %s\n  Its whole output: %s\n' \
            "$status" "$text" "$*" "$log" >&2
        exit "$status"
    fi
    rm -f "$log"
}
