// Sends a text and a picture through the wagy API, then asks for the latest messages.
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
	text := call("POST", "/"+device+"/send", fields{
		"phone":   to,
		"message": "Hello from Go",
	})
	fmt.Println("text", text["data"].(fields)["message_id"])

	media := call("POST", "/"+device+"/send", fields{
		"phone":      to,
		"message":    "A picture from Go",
		"media_url":  mediaURL,
		"media_type": "image",
	})
	fmt.Println("media", media["data"].(fields)["message_id"])

	answer := call("GET", "/"+device+"/messages?limit=2", nil)
	fmt.Println("status", answer["data"].([]any)[0].(fields)["status"])
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
		log.Fatal("error: ", answer["message"])
	}
	return answer
}
