#!/usr/bin/env bash
# A night of coding agents: five tasks, one account, and everything that goes wrong at night.
#
#   examples/overnight/overnight.sh [QCLI [QUEUE-WORKER [FAKE-AGENT]]]
#
# Hands five tasks to `claude` in one repository, each in a worktree of its own. In the night the
# account's limit is reached, the worker is killed with -9, and agents say that they are done when they
# are not. In the morning all five are done, checked, paid for and merged. The script checks each step
# itself and exits with 1 at the first thing that is not as it should be; it takes about half a minute.
#
# The agent is the double of the test suite, which acts as `claude.toml` beside this file says, so this
# costs nothing. With the real one nothing but the PATH is different. Without arguments the programs are
# built first. Nothing outside of a temporary directory is changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
if [ $# -eq 0 ]; then
    (
        cd "$root"
        cargo build --release --quiet --bin qcli --bin queue-worker
        cargo build --release --quiet --package queue-tests --bin fake-agent
    )
fi
target=${CARGO_TARGET_DIR:-$root/target}
qcli=$(realpath "${1:-$target/release/qcli}")
queue_worker=$(realpath "${2:-$target/release/queue-worker}")
fake_agent=$(realpath "${3:-$target/release/fake-agent}")

place=$(mktemp -d "${TMPDIR:-/tmp}/overnight.XXXXXX")
# A store of its own: what is said below never meets the jobs of whoever runs this.
export QUEUE_DB=$place/queue.db
worker=

end() {
    code=$?
    [ -z "$worker" ] || kill "$worker" 2>/dev/null || true
    wait
    if [ "$code" -eq 0 ]; then
        rm -rf "$place"
    else
        printf 'the store and all files are kept in %s\n' "$place" >&2
    fi
}
trap end EXIT

say() { printf '\n%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# run COMMAND…: shows a command of qcli and runs it.
run() {
    printf '$ qcli'
    printf ' %q' "$@"
    printf '\n'
    "$qcli" "$@"
}

# until_true COMMAND…: waits for it to succeed, for a minute.
until_true() {
    local tries=600
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "this never came to be: $*"
        sleep 0.1
    done
}

gate_is_closed() { [[ $("$qcli" gate list --json) == *'"state":"closed"'* ]]; }

# ── The evening ─────────────────────────────────────────────────────────────────────────────────

mkdir -p "$place/bin/state" "$place/site"
cp "$here/claude.toml" "$place/bin/"
ln -s "$fake_agent" "$place/bin/claude"
export PATH=$place/bin:$PATH

cd "$place/site"
git init -q -b main
git config user.name 'Somebody'
git config user.email 'somebody@example.org'
echo '# The site' >README.md
git add README.md
git commit -qm 'begin'

say 'In the evening: five tasks, each in a worktree of its own, none done before its check says so.'
for task in login search cache docs tidy; do
    run enqueue --name "$task" --agent claude --prompt "Write the $task page and its test." \
        --worktree --expect commit --check 'ls "test-$QUEUE_JOB_ID.txt"' \
        --max-cost 5 --backoff fixed:1s | tee -a "$place/ids"
done
[ "$(grep -c '^[0-9]*$' "$place/ids")" -eq 5 ] || fail 'five jobs were added, and other numbers printed'

# ── The night ───────────────────────────────────────────────────────────────────────────────────

start_worker() {
    "$queue_worker" --name "$1" --concurrency 2 --quiet &
    worker=$!
}

say 'The worker begins; the limit of the account is reached, and the gate closes.'
start_worker evening
until_true gate_is_closed
run gate list

say 'Somebody kills the worker. Another one is started: it waits for the same gate.'
kill -9 "$worker"
wait "$worker" 2>/dev/null || true
start_worker night
run list

say 'One job tries first when the limit has lifted, and the others follow.'
for task in login search cache docs tidy; do
    "$qcli" wait --quiet "$task" || fail "$task did not complete: $("$qcli" why "$task")"
done
kill "$worker"
wait "$worker"
worker=

# ── The morning ─────────────────────────────────────────────────────────────────────────────────

say 'In the morning:'
run list
run show login
run cost --by job

# The agents' own ledger says the same, to the cent.
booked=$(awk -F'"cost_usd":' 'NF > 1 { sum += $2 } END { printf "%.2f", sum }' "$place/bin/state/ledger.jsonl")
[[ $("$qcli" cost) == *"$booked"* ]] || fail "the agents have booked $booked, and \`qcli cost\` says: $("$qcli" cost)"

say 'What came of it is looked at and taken over.'
run diff login
for task in login search cache docs tidy; do
    run accept "$task"
done
for job in 1 2 3 4 5; do
    [ -e "code-$job.txt" ] && [ -e "test-$job.txt" ] || fail "the work of job $job is not on main"
done
[ "$(git worktree list | wc -l)" -eq 1 ] || fail 'a worktree is left'

say 'Five tasks are done, checked, paid for and merged.'
