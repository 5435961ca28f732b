// An HTTP server that sends a line three times a second for some minutes. Its clients end their own direction after the
// request, as netcat and some proxies do, and read on: the sockets are in CLOSE_WAIT, and all is well.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"
)

func main() {
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		for number := 0; number < 700; number++ {
			if _, err := fmt.Fprintf(writer, "price %d\n", number); err != nil {
				return
			}
			writer.(http.Flusher).Flush()
			time.Sleep(300 * time.Millisecond)
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}
