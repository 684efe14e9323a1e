// Sends a text and a picture through Gerbang's own API, then asks how the text fares.
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
	text := call("POST", "/v1/messages", fields{
		"device": device,
		"to":     to,
		"text":   "Hello from Go",
	})
	fmt.Println("text", text["id"])

	media := call("POST", "/v1/messages", fields{
		"device": device,
		"to":     to,
		"media": fields{
			"url":     mediaURL,
			"caption": "A picture from Go",
		},
	})
	fmt.Println("media", media["id"])

	answer := call("GET", fmt.Sprint("/v1/messages/", text["id"]), nil)
	fmt.Println("status", answer["status"])
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
		log.Fatal("error: ", answer["detail"])
	}
	return answer
}
