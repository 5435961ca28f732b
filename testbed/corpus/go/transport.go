// The pool of net/http: it looks as if it could leave idle connections in CLOSE_WAIT, and does not. A goroutine reads from
// each, sees the end at once, and closes it.
package main

import (
	"io"
	"log"
	"net/http"
	"sync"
	"time"
)

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 30}}

func main() {
	for {
		var calls sync.WaitGroup
		for number := 0; number < 30; number++ {
			calls.Add(1)
			go func() {
				defer calls.Done()
				answer, err := client.Get("http://127.0.0.1:8080/price")
				if err != nil {
					log.Print(err)
					return
				}
				defer answer.Body.Close()
				io.Copy(io.Discard, answer.Body)
			}()
		}
		calls.Wait()
		time.Sleep(20 * time.Second)
	}
}
