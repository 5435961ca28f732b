// An HTTP server whose handlers ask one goroutine, by a channel. That goroutine returns at its first error, and then each
// handler waits for somebody who takes its question. net/http reads on meanwhile and sees that the client has gone, but
// only cancels the request's context, at which this handler does not look.
package main

import (
	"errors"
	"fmt"
	"log"
	"net/http"
)

type question struct {
	item   string
	answer chan int
}

var questions = make(chan question)

func count(item string) (int, error) {
	if item == "/item/5" {
		return 0, errors.New("no such item")
	}
	return len(item), nil
}

func keeper() {
	for question := range questions {
		number, err := count(question.item)
		if err != nil {
			log.Print(err)
			return // should have been: continue, with an answer
		}
		question.answer <- number
	}
}

func main() {
	go keeper()
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		asked := question{request.URL.Path, make(chan int)}
		questions <- asked
		fmt.Fprintln(writer, <-asked.answer)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}
