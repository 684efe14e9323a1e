#!/bin/sh
# Sends a text and a picture through Gerbang's own API, then asks how the text fares.
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

call POST /v1/messages "$(cat <<JSON
{
  "device": "$GERBANG_DEVICE",
  "to": "$GERBANG_TO",
  "text": "Hello from curl"
}
JSON
)"
echo "text $answer"
id=$(echo "$answer" | sed 's/.*"id":"\{0,1\}\([^",}]*\).*/\1/')

call POST /v1/messages "$(cat <<JSON
{
  "device": "$GERBANG_DEVICE",
  "to": "$GERBANG_TO",
  "media": {
    "url": "$GERBANG_MEDIA_URL",
    "caption": "A picture from curl"
  }
}
JSON
)"
echo "media $answer"

call GET "/v1/messages/$id"
echo "status $answer"
