#!/bin/sh
# Sends a text and a picture through the wasyik API, then asks how the device is.
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

call POST /api/v2/messaging/whatsapp/send-text "$(cat <<JSON
{
  "accountId": "$GERBANG_DEVICE",
  "to": "$GERBANG_TO",
  "text": "Hello from curl"
}
JSON
)"
echo "text $answer"

call POST /api/v2/messaging/whatsapp/message "$(cat <<JSON
{
  "accountId": "$GERBANG_DEVICE",
  "to": "$GERBANG_TO",
  "messageType": "image",
  "url": "$GERBANG_MEDIA_URL",
  "caption": "A picture from curl"
}
JSON
)"
echo "media $answer"

call GET "/api/v2/messaging/whatsapp/accounts/status?accountId=$GERBANG_DEVICE"
echo "status $answer"
