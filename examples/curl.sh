#!/bin/sh
# Submit a video and wait for its end, with curl alone.
#
#   GATEWAY=http://127.0.0.1:8080 KEY=rg_live_… sh examples/curl.sh [NAME]
#
# NAME is the create's Idempotency-Key: whatever went wrong, whoever runs this again with the same
# name follows the same task, and pays once.
set -eu

GATEWAY=${GATEWAY:-http://127.0.0.1:8080}
: "${KEY:?must be a key of yours, as 'reelgate key issue' printed it}"
NAME=${1:-curl-example-$(date +%s)-$$}
REQUEST='{"model": "sora-character", "video_url": "https://example.com/video.mp4", "timestamps": "1,3"}'

# In a file that nobody else reads: arguments of a command are seen by all who are on the machine.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
printf 'Authorization: Bearer %s\n' "$KEY" >"$folder/key"

# Ask, and leave the answer in $folder/answer. Curl itself waits as Retry-After says and asks again.
ask() {
    status=$(curl --silent --show-error --header "@$folder/key" \
        --max-time 90 --retry 3 --retry-connrefused \
        --output "$folder/answer" --write-out '%{http_code}' "$@") || {
        echo "No answer from $GATEWAY. Once it is there: sh $0 $NAME" >&2
        exit 1
    }
    if [ "$status" != 200 ]; then
        echo "Refused with $status: $(cat "$folder/answer")" >&2
        exit 1
    fi
}

# Print a member of the answer whose value is a word.
member() {
    tr '{,' '\n\n' <"$folder/answer" | sed -n "s/^ *\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1
}

ask "$GATEWAY/v1/videos/generations" --header 'Content-Type: application/json' \
    --header "Idempotency-Key: $NAME" --data "$REQUEST"
task=$(member id)
echo "Task $task, created under the name $NAME"

state=$(member status)
while [ "$state" != completed ] && [ "$state" != failed ]; do
    # Answered as soon as the task has changed, after 30 seconds at the latest.
    ask "$GATEWAY/v1/tasks/$task?wait=30"
    state=$(member status)
    echo "$state"
done

cat "$folder/answer"
echo
[ "$state" = completed ]
