// Takes Gerbang's own webhooks, saves each photo that comes in, and answers it.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const ageMax = 5 * time.Minute

type event struct {
	Type string
	Data struct {
		ID         int64
		Kind       string
		WhatsappID string `json:"whatsapp_id"`
		Group      string
		From       string
		Device     struct{ ID string }
		Media      struct{ URL, Reason string }
	}
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8000"
	}
	log.Fatal(http.ListenAndServe(":"+port, http.HandlerFunc(receive)))
}

func receive(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil || !isAuthentic(request.Header, body) {
		fmt.Println("refused: the signature is wrong")
		response.WriteHeader(http.StatusUnauthorized)
		return
	}
	var received event
	if err = json.Unmarshal(body, &received); err == nil {
		if received.Type == "message.received" && received.Data.Kind == "image" {
			err = answer(request.Header.Get("Webhook-Id"), received)
		}
	}
	if err != nil {
		fmt.Println("error:", err)
		// The event comes again.
		response.WriteHeader(http.StatusInternalServerError)
		return
	}
	response.WriteHeader(http.StatusNoContent)
}

func answer(id string, received event) error {
	message := received.Data
	if message.Media.URL == "" {
		fmt.Println(message.ID, "has no file:", message.Media.Reason)
		return nil
	}
	// The URL needs no key. It is valid from now on, also while the file is still on its way.
	photo, err := http.Get(message.Media.URL)
	if err != nil {
		return err
	}
	defer photo.Body.Close()
	switch photo.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone, http.StatusBadGateway:
		// It cannot be had any more.
		fmt.Println(message.ID, "has no file:", photo.Status)
		return nil
	default:
		return fmt.Errorf("the photo cannot be fetched: %s", photo.Status)
	}
	content, err := io.ReadAll(photo.Body)
	if err != nil {
		return err
	}
	name := strconv.FormatInt(message.ID, 10) + ".jpg"
	if err = os.WriteFile(filepath.Join(os.Getenv("FOLDER"), name), content, 0o600); err != nil {
		return err
	}
	to := message.Group
	if to == "" {
		to = message.From
	}
	body, err := json.Marshal(map[string]string{
		"device":   message.Device.ID,
		"to":       to,
		"text":     fmt.Sprintf("Thank you for the photo of %d bytes", len(content)),
		"reply_to": message.WhatsappID,
	})
	if err != nil {
		return err
	}
	url := os.Getenv("GERBANG_URL") + "/v1/messages"
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("GERBANG_KEY"))
	request.Header.Set("Content-Type", "application/json")
	// The same event may come twice; it is answered once.
	request.Header.Set("Idempotency-Key", id)
	sent, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer sent.Body.Close()
	if sent.StatusCode != http.StatusAccepted {
		problem, _ := io.ReadAll(sent.Body)
		return fmt.Errorf("%s", problem)
	}
	fmt.Println("saved", name)
	return nil
}

func isAuthentic(header http.Header, body []byte) bool {
	timestamp := header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > ageMax {
		return false
	}
	secret := strings.TrimPrefix(os.Getenv("GERBANG_WEBHOOK_SECRET"), "whsec_")
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", header.Get("Webhook-Id"), timestamp, body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	// While a secret is being replaced there are several signatures.
	for _, signature := range strings.Fields(header.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(signature), []byte(expected)) {
			return true
		}
	}
	return false
}
