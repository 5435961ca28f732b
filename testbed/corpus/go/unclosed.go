// A client that closes the body of an answer only when the status is 200: "defer" stands below the early return. The
// transport allows 60 connections to a host; once each has such an answer, every call waits for ever. Healthy for as long
// as the service answers 200, which is why no test shows it.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"time"
)

var client = &http.Client{Transport: &http.Transport{MaxConnsPerHost: 60, MaxIdleConnsPerHost: 60}}

func stock(item int) error {
	answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:8080/item/%d", item))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("item %d: %s", item, answer.Status)
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func main() {
	for worker := 0; worker < 4; worker++ {
		go func() {
			for item := 0; ; item++ {
				if err := stock(item); err != nil {
					log.Print(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
	}
	time.Sleep(time.Hour)
}
