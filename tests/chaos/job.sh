# A job of the chaos run: job.sh KIND AMOUNT. Writes what it does to the effect file of its job,
# one line per event, each with the epoch; holds a lock that every process of its tree inherits.
effects="${0%/*}/effects/$QUEUE_JOB_ID"
note() { echo "$*" >>"$effects"; }
finish() { note end "$QUEUE_EPOCH"; echo "end $QUEUE_EPOCH"; exit "$1"; }
# busy TENTHS: works for so long and shows it.
busy() {
    left=$1
    while [ "$left" -gt 0 ]; do
        sleep 0.1
        left=$((left - 1))
        note beat "$QUEUE_EPOCH"
    done
}

if [ "$1" = stray ]; then
    trap '' TERM
    busy 600
fi

exec 9>>"$effects.lock"
# A process that was killed lets go of its files a moment after it can do nothing any more.
until flock -w 0.5 9; do
    # 1 is its word for a lock that another one has; otherwise it was killed itself.
    [ "$?" -ne 1 ] || { note overlap "$QUEUE_EPOCH" "$$"; break; }
done
note begin "$QUEUE_EPOCH" "$$"
echo "begin $QUEUE_EPOCH"

case $1 in
short) ;;
long) busy "$2" ;;
fails) finish 3 ;;
forks)
    (busy "$2") &
    (busy "$2"; (busy 1) & wait) &
    wait
    ;;
leaves)
    (busy 600) &
    busy 2
    ;;
scatters)
    setsid sh "$0" stray "$2" &
    (setsid sh "$0" stray "$2" &)
    busy "$2"
    ;;
stubborn)
    trap '' TERM INT HUP
    (busy "$2") &
    busy "$2"
    wait
    ;;
chatty)
    yes "a line of which there are many" | head -c "$((100000 * $2))"
    echo
    busy 1
    ;;
saves)
    done=$(cat "$QUEUE_CHECKPOINT")
    done=${done:-0}
    note resume "$QUEUE_EPOCH" "$done"
    while [ "$done" -lt "$2" ]; do
        sleep 0.05
        done=$((done + 1))
        echo "$done" >"$QUEUE_CHECKPOINT.new" && mv "$QUEUE_CHECKPOINT.new" "$QUEUE_CHECKPOINT"
        note saved "$QUEUE_EPOCH" "$done"
    done
    ;;
dies) busy 1; kill -9 $$ ;;
parricide)
    [ "$QUEUE_EPOCH" = 1 ] && kill -9 "$PPID"
    busy 3
    ;;
esac
finish 0
