#!/bin/sh
# Sends a text and a picture through the mpwa API.
set -eu

# call METHOD PATH [JSON]: leaves the answer in $answer, or tells the error and ends.
call() {
    answer=$(curl -sS --fail-with-body -X "$1" "$GERBANG_URL$2" \
        -H 'Content-Type: application/json' \
        ${3+-d "$3"}) || {
        echo "error: $answer" >&2
        exit 1
    }
}

call POST /send-message "$(cat <<JSON
{
  "api_key": "$GERBANG_KEY",
  "sender": "$GERBANG_SENDER",
  "number": "$GERBANG_TO",
  "message": "Hello from curl"
}
JSON
)"
echo "text $answer"

call POST /send-media "$(cat <<JSON
{
  "api_key": "$GERBANG_KEY",
  "sender": "$GERBANG_SENDER",
  "number": "$GERBANG_TO",
  "media_type": "image",
  "url": "$GERBANG_MEDIA_URL",
  "caption": "A picture from curl"
}
JSON
)"
echo "media $answer"
