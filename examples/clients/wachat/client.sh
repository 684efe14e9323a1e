#!/bin/sh
# Sends a text and a picture through the wachat API, then asks how the text fares.
set -eu

# call METHOD PATH [JSON]: leaves the answer in $answer, or tells the error and ends.
call() {
    answer=$(curl -sS --fail-with-body -X "$1" "$GERBANG_URL$2" \
        -H "APIKey: $GERBANG_KEY" -H 'Content-Type: application/json' \
        ${3+-d "$3"}) || {
        echo "error: $answer" >&2
        exit 1
    }
}

call POST /wachat_api/1.0/message "$(cat <<JSON
{
  "queue": "$GERBANG_DEVICE",
  "destination": "$GERBANG_TO",
  "message": "Hello from curl"
}
JSON
)"
echo "text $answer"
id=$(echo "$answer" | sed 's/.*"ref_no":"\{0,1\}\([^",}]*\).*/\1/')

call POST /wachat_api/1.0/media "$(cat <<JSON
{
  "queue": "$GERBANG_DEVICE",
  "destination": "$GERBANG_TO",
  "caption": "A picture from curl",
  "media_url": "$GERBANG_MEDIA_URL"
}
JSON
)"
echo "media $answer"

call GET "/wachat_api/1.0/status/$id"
echo "status $answer"
