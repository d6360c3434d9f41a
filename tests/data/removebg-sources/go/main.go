package main

import (
	"net/http"

	"github.com/remove-bg/go/client"
)

const account = "https://api.remove.bg/v1.0/account"

func main() {
	c := client.Client{HTTPClient: http.Client{}}
	c.RemoveFromFile("photo.jpg", "key", map[string]string{"size": "auto"})
}
