// A client with a pool of its own, a channel of connections, as clients of caches have it. Nobody reads from a connection
// that lies in the channel: that the server has ended it shows when it is taken the next time, and then it is closed and
// replaced. There is work every some seconds, as much as the argument says.
package main

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const size = 30

var pool = make(chan net.Conn, size)

func ask(connection net.Conn) error {
	if _, err := io.WriteString(connection, "GET /price HTTP/1.1\r\nHost: shop\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func call() {
	for {
		var connection net.Conn
		select {
		case connection = <-pool:
		default:
			var err error
			if connection, err = net.Dial("tcp", "127.0.0.1:8080"); err != nil {
				log.Fatal(err)
			}
		}
		if ask(connection) == nil {
			pool <- connection
			return
		}
		connection.Close() // the server had ended it: the next one, or a new one
	}
}

func main() {
	pause, err := time.ParseDuration(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		for round := 0; round < 3; round++ {
			var calls sync.WaitGroup
			for number := 0; number < size; number++ {
				calls.Add(1)
				go func() { call(); calls.Done() }()
			}
			calls.Wait()
		}
		time.Sleep(pause)
	}
}
