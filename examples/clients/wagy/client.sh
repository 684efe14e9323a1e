#!/bin/sh
# Sends a text and a picture through the wagy API, then asks for the latest messages.
set -eu

# call METHOD PATH [JSON]: leaves the answer in $answer, or prints the error and exits.
call() {
    answer=$(curl -sS --fail-with-body -X "$1" "$GERBANG_URL$2" \
        -H "Authorization: Bearer $GERBANG_KEY" -H 'Content-Type: application/json' \
        ${3+-d "$3"}) || {
        echo "error: $answer" >&2
        exit 1
    }
}

call POST "/$GERBANG_DEVICE/send" "$(cat <<JSON
{
  "phone": "$GERBANG_TO",
  "message": "Hello from curl"
}
JSON
)"
echo "text $answer"

call POST "/$GERBANG_DEVICE/send" "$(cat <<JSON
{
  "phone": "$GERBANG_TO",
  "message": "A picture from curl",
  "media_url": "$GERBANG_MEDIA_URL",
  "media_type": "image"
}
JSON
)"
echo "media $answer"

call GET "/$GERBANG_DEVICE/messages?limit=2"
echo "status $answer"
