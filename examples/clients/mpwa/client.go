// Sends a text and a picture through the mpwa API.
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
	sender   = os.Getenv("GERBANG_SENDER")
	to       = os.Getenv("GERBANG_TO")
	mediaURL = os.Getenv("GERBANG_MEDIA_URL")
)

func main() {
	log.SetFlags(0)
	text := call("POST", "/send-message", fields{
		"api_key": key,
		"sender":  sender,
		"number":  to,
		"message": "Hello from Go",
	})
	fmt.Println("text", text["msg"])

	media := call("POST", "/send-media", fields{
		"api_key":    key,
		"sender":     sender,
		"number":     to,
		"media_type": "image",
		"url":        mediaURL,
		"caption":    "A picture from Go",
	})
	fmt.Println("media", media["msg"])
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
		log.Fatal("error: ", answer["msg"])
	}
	return answer
}
