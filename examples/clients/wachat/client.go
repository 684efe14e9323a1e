// Sends a text and a picture through the wachat API, then asks how the text fares.
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
	text := call("POST", "/wachat_api/1.0/message", fields{
		"queue":       device,
		"destination": to,
		"message":     "Hello from Go",
	})
	fmt.Println("text", text["data"].(fields)["ref_no"])

	media := call("POST", "/wachat_api/1.0/media", fields{
		"queue":       device,
		"destination": to,
		"caption":     "A picture from Go",
		"media_url":   mediaURL,
	})
	fmt.Println("media", media["data"].(fields)["ref_no"])

	answer := call("GET", fmt.Sprint("/wachat_api/1.0/status/", text["data"].(fields)["ref_no"]), nil)
	fmt.Println("status", answer["data"].(fields)["status"])
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
	request.Header.Set("APIKey", key)
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
		if detail, ok := answer["detail"].([]any); ok {
			// A parameter at fault has another error shape than everything else.
			log.Fatal("error: ", detail[0].(fields)["msg"])
		}
		log.Fatal("error: ", answer["message"])
	}
	return answer
}
