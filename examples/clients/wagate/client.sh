#!/bin/sh
# Sends a text and a picture through the wagate API, then asks for the latest messages.
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

call POST /api/v1/send-message "$(cat <<JSON
{
  "recipient": "$GERBANG_TO",
  "message": "Hello from curl"
}
JSON
)"
echo "text $answer"

call POST /api/v1/send-media "$(cat <<JSON
{
  "recipient": "$GERBANG_TO",
  "media_url": "$GERBANG_MEDIA_URL",
  "media_type": "image",
  "caption": "A picture from curl"
}
JSON
)"
echo "media $answer"

call GET "/api/v1/messages?limit=2"
echo "status $answer"
