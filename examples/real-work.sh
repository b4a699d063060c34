#!/usr/bin/env bash
# Real work, end to end: 300 commands, three workers, one of them killed, nothing lost.
#
#   examples/real-work.sh [QCLI [QUEUE-WORKER]]
#
# Adds 300 real commands to a new store: checksums and compressions of files under /usr/share, three that take a
# while, some that need a second try and some that must fail. Three workers run them; one is killed with -9 on the way.
# Then it checks that every job ended once and as it should, compares every output with a direct computation,
# mends what was broken, and requeues what failed. Exits with 1 at the first thing that is not as it should be.
#
# Without arguments it builds both programs and uses those. Nothing outside of a temporary directory is changed.
set -euo pipefail

for tool in sha256sum md5sum sha1sum cksum gzip cmp flock; do
    command -v "$tool" >/dev/null || {
        printf 'error: `%s` is not there; this example is for Linux with the usual tools\n' "$tool" >&2
        exit 2
    }
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ $# -eq 0 ]; then
    (cd "$root" && cargo build --release --quiet --bin qcli --bin queue-worker)
fi
target=${CARGO_TARGET_DIR:-$root/target}
qcli=$(realpath "${1:-$target/release/qcli}")
queue_worker=$(realpath "${2:-$target/release/queue-worker}")

place=$(mktemp -d "${TMPDIR:-/tmp}/real-work.XXXXXX")
cd "$place"
mkdir out jobs parts
# A store of its own: what is said below never meets the jobs of whoever runs this.
export QUEUE_DB=$place/queue.db
declare -A worker_pid=()

end() {
    code=$?
    for pid in "${worker_pid[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    wait
    if [ "$code" -eq 0 ]; then
        rm -rf "$place"
    else
        printf 'the store and all files are kept in %s\n' "$place" >&2
    fi
}
trap end EXIT

say() { printf '%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# field NAME LINE: the value of a field of a job's JSON, without quotes.
field() {
    [[ $2 =~ \"$1\":(\"([^\"]*)\"|[^,}]*) ]] || fail "no field \`$1\` in: $2"
    if [ -n "${BASH_REMATCH[2]}" ]; then
        printf '%s' "${BASH_REMATCH[2]}"
    else
        printf '%s' "${BASH_REMATCH[1]}"
    fi
}

# count STATE: how many jobs are in that state.
count() { "$qcli" list --jsonl --state "$1" | wc -l; }

# ── The work ────────────────────────────────────────────────────────────────────────────────────

# Files with plain names and of a modest size, the same on each run.
mapfile -t files < <(find /usr/share -type f -readable -size +0 -size -200k -regex '[A-Za-z0-9_./+-]*' | LC_ALL=C sort)
[ "${#files[@]}" -ge 50 ] || fail "there are only ${#files[@]} files under /usr/share to work on"

# The nth of them, spread over the whole list.
file_of() { printf '%s' "${files[$(($1 * 7919 % ${#files[@]}))]}"; }

declare -A expected=()

# add NAME JSON-FIELDS…: a line of the file of jobs.
add() {
    printf '{"name":"%s",%s}\n' "$1" "$2" >>jobs.jsonl
    expected[$1]=completed
}

n=0
# 200 checksums, printed.
for kind in sha256sum md5sum cksum sha1sum; do
    for _ in {1..50}; do
        n=$((n + 1))
        add "sum-$n" "\"argv\":[\"$kind\",\"$(file_of $n)\"]"
    done
done
# 40 compressions, printed: bytes of all kinds.
for _ in {1..40}; do
    n=$((n + 1))
    add "gzip-$n" "\"argv\":[\"gzip\",\"-9nc\",\"$(file_of $n)\"]"
done
# 39 compressions, into a file that appears whole.
for _ in {1..39}; do
    n=$((n + 1))
    add "pack-$n" "\"shell\":\"gzip -9nc $(file_of $n) > out/$n.new && mv out/$n.new out/$n.gz\""
done
# 8 that need a second try.
for _ in {1..8}; do
    n=$((n + 1))
    add "second-$n" "\"backoff\":\"fixed:200ms\",\"shell\":\"test -e out/$n.tried || { touch out/$n.tried; echo not yet >&2; exit 1; }; sha256sum $(file_of $n)\""
done
# 3 that take twelve seconds and save after each how far they are. The lock shows that no two of a kind ever run at once.
for i in 1 2 3; do
    for part in {1..12}; do
        head -c 5000 /dev/urandom >"parts/$i-$part"
    done
    cat >"jobs/slow-$i" <<END
exec 9>out/slow-$i.lock
flock -n 9 || exit 99
n=\$(cat "\$QUEUE_CHECKPOINT" 2>/dev/null || echo 0)
while [ "\$n" -lt 12 ]; do
    n=\$((n + 1))
    sha256sum "parts/$i-\$n" >>out/slow-$i
    echo "\$n" >"\$QUEUE_CHECKPOINT.new" && mv "\$QUEUE_CHECKPOINT.new" "\$QUEUE_CHECKPOINT"
    sleep 1
done
END
    add "slow-$i" "\"priority\":10,\"argv\":[\"sh\",\"jobs/slow-$i\"]"
done
# 10 that must fail: a missing file (5), a program that is not there (2), a directory that goes away (2), and one that
# waits for something that never comes (1).
mkdir vanishing
for i in 1 2 3 4 5; do
    add "fails-file-$i" "\"max_attempts\":2,\"backoff\":\"fixed:100ms\",\"argv\":[\"sha256sum\",\"missing-$i\"]"
    expected[fails-file-$i]=exit_code
done
for i in 1 2; do
    add "fails-program-$i" "\"argv\":[\"./checksum\",\"$(file_of $i)\"]"
    expected[fails-program-$i]=spawn_failed
    add "fails-directory-$i" "\"cwd\":\"vanishing\",\"argv\":[\"sha256sum\",\"$(file_of $i)\"]"
    expected[fails-directory-$i]=bad_cwd
done
add fails-in-time '"max_attempts":1,"timeout":"1s","shell":"until test -e mended; do sleep 0.1; done; echo at last"'
expected[fails-in-time]=timeout

say "Adding 300 jobs, all or none."
"$qcli" enqueue --from-file jobs.jsonl >ids
[ "$(sort -un ids | wc -l)" -eq 300 ] || fail "300 jobs were added, and $(sort -un ids | wc -l) numbers printed"
rmdir vanishing

# ── Three workers, one of them killed ───────────────────────────────────────────────────────────

start_worker() {
    "$queue_worker" --name "$1" --concurrency 3 --lease 3s --drain=all --quiet &
    worker_pid[$1]=$!
}

# The name of the worker that runs a slow job now; nothing where none does.
slow_worker() {
    local line
    while read -r line; do
        if [[ $(field name "$line") == slow-* ]]; then
            field worker "$line"
            return
        fi
    done < <("$qcli" list --jsonl --state in_progress)
}

say "Starting three workers."
for name in w1 w2 w3; do
    start_worker "$name"
done

victim=
for _ in {1..300}; do
    if [ "$(count completed)" -ge 10 ]; then
        victim=$(slow_worker)
        [ -z "$victim" ] || break
    fi
    sleep 0.1
done
[ -n "$victim" ] || fail "in 30 seconds no worker took a slow job and completed ten others"
say "Killing worker $victim with -9, in the middle of its work; $(count completed) jobs have completed."
kill -9 "${worker_pid[$victim]}"
wait "${worker_pid[$victim]}" 2>/dev/null || true
unset "worker_pid[$victim]"

say "Waiting until the other two have adopted what it left running, and have worked off the rest."
for name in "${!worker_pid[@]}"; do
    wait "${worker_pid[$name]}" || fail "worker $name ended with code $?"
    unset "worker_pid[$name]"
done

# ── What came of it ─────────────────────────────────────────────────────────────────────────────

say "Checking that every job ended once, in the right state."
"$qcli" list --jsonl >list
[ "$(wc -l <list)" -eq 300 ] || fail "there are $(wc -l <list) jobs"
adopted=0
while read -r line; do
    name=$(field name "$line")
    found=$(field state "$line")
    if [ "$found" = failed ]; then
        found=$(field class "$line")
    fi
    [ "$found" = "${expected[$name]}" ] || fail "$name ended as $found and not as ${expected[$name]}"
    case $name in
    second-*) tries=2 ;;
    fails-file-*) tries=2 ;;
    *) tries=1 ;;
    esac
    [ "$(field attempt "$line")" -eq "$tries" ] || fail "$name had $(field attempt "$line") attempts and not $tries"
    [ "$(field stalls "$line")" -eq 0 ] || fail "$name was started again although nothing of it had died"
    if [[ $name == slow-* && $("$qcli" show --json "$name") == *'"adopted_by":"'* ]]; then
        adopted=$((adopted + 1))
    fi
done <list
[ "$adopted" -ge 1 ] || fail "no job outlived the worker that was killed"
say "  290 completed, 10 failed; slow jobs that outlived their worker and were adopted: $adopted."

# same NAME COMMAND…: the output of the job is what the command prints now.
same() {
    local name=$1
    shift
    cmp -s <("$qcli" logs --raw --stdout "$name") <("$@") || fail "the output of $name is not that of: $*"
}

# check_outputs: compares every output with a direct computation.
check_outputs() {
    local n=0 kind i part
    for kind in sha256sum md5sum cksum sha1sum; do
        for _ in {1..50}; do
            n=$((n + 1))
            same "sum-$n" "$kind" "$(file_of $n)"
        done
    done
    for _ in {1..40}; do
        n=$((n + 1))
        same "gzip-$n" gzip -9nc "$(file_of $n)"
    done
    for _ in {1..39}; do
        n=$((n + 1))
        cmp -s "out/$n.gz" <(gzip -9nc "$(file_of $n)") || fail "the file of pack-$n is not whole"
    done
    for _ in {1..8}; do
        n=$((n + 1))
        same "second-$n" sha256sum "$(file_of $n)"
    done
    # Every part is there. The one that was cut short by the kill may be there twice, and no other.
    for i in 1 2 3; do
        cmp -s <(uniq "out/slow-$i") <(for part in {1..12}; do sha256sum "parts/$i-$part"; done) ||
            fail "the parts of slow-$i are not whole"
    done
}

say "Comparing every output with a direct computation."
check_outputs

say "Checking that \`qcli failed\` lists exactly the ten, with class and last lines."
"$qcli" failed --jsonl >failed
[ "$(wc -l <failed)" -eq 10 ] || fail "qcli failed lists $(wc -l <failed) jobs"
while read -r line; do
    name=$(field name "$line")
    [ "$(field class "$line")" = "${expected[$name]}" ] || fail "$name is listed with class $(field class "$line")"
    case $name in
    fails-file-*) [[ $line == *"last_lines"*"missing-"*"No such file"* ]] || fail "the last lines of $name are not listed: $line" ;;
    esac
done <failed
"$qcli" failed --lines 1

# ── Mending it ──────────────────────────────────────────────────────────────────────────────────

say "Mending the causes, and requeueing what failed."
for i in 1 2 3 4 5; do
    printf 'content %s\n' "$i" >"missing-$i"
done
printf '#!/bin/sh\nexec sha256sum "$@"\n' >checksum
chmod +x checksum
mkdir vanishing
touch mended
"$qcli" requeue --failed >requeued
"$queue_worker" --name w4 --drain=all --quiet

[ "$(count completed)" -eq 300 ] || fail "$(count completed) of 300 jobs completed"
[ "$("$qcli" failed --jsonl | wc -l)" -eq 0 ] || fail "qcli failed still lists jobs"
for i in 1 2 3 4 5; do
    same "fails-file-$i" sha256sum "missing-$i"
done
for i in 1 2; do
    same "fails-program-$i" sha256sum "$(file_of "$i")"
    same "fails-directory-$i" sha256sum "$(file_of "$i")"
done
same fails-in-time echo 'at last'
check_outputs
"$qcli" doctor >/dev/null || fail "qcli doctor found something"

say "All 300 jobs completed, and every output is whole."
