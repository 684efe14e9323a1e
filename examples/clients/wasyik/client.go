// Sends a text and a picture through the wasyik API, then asks how the device is.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
)

type fields = map[string]any

var (
	url      = os.Getenv("GERBANG_URL")
	key      = os.Getenv("GERBANG_KEY")
	device   = os.Getenv("GERBANG_DEVICE")
	to       = os.Getenv("GERBANG_TO")
	mediaURL = os.Getenv("GERBANG_MEDIA_URL")
)

func main() {
	log.SetFlags(0)
	text := call("POST", "/api/v2/messaging/whatsapp/send-text", fields{
		"accountId": device,
		"to":        to,
		"text":      "Hello from Go",
	})
	fmt.Println("text", text["data"].(fields)["messageId"])

	media := call("POST", "/api/v2/messaging/whatsapp/message", fields{
		"accountId":   device,
		"to":          to,
		"messageType": "image",
		"url":         mediaURL,
		"caption":     "A picture from Go",
	})
	fmt.Println("media", media["data"].(fields)["messageId"])

	answer := call("GET", "/api/v2/messaging/whatsapp/accounts/status?accountId="+device, nil)
	fmt.Println("status", answer["data"].(fields)["whatsapp_status"])
}

func call(method, path string, body fields) fields {
	var payload []byte
	if body != nil {
		payload, _ = json.Marshal(body)
	}
	request, err := http.NewRequest(method, url+path, bytes.NewReader(payload))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var answer fields
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		log.Fatal(err)
	}
	if response.StatusCode >= 400 {
		log.Fatal("error: ", answer["data"].(fields)["message"])
	}
	return answer
}
