# A server with four workers and a queue. Each worker asks another service, with no limit of time, and that service answers
# nobody any more. All who come then are accepted, and wait in the queue.
require "socket"
require "net/http"

waiting = Queue.new

def serve(client)
  client.readpartial(4096)
  upstream = Net::HTTP.new("127.0.0.1", 8080)
  upstream.read_timeout = nil
  body = upstream.start { |http| http.get("/price").body }
  client.write("HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\n\r\n#{body}")
rescue SystemCallError, IOError => error
  warn error.message
ensure
  client.close
end

4.times { Thread.new { loop { serve(waiting.pop) } } }
server = TCPServer.new("127.0.0.1", 9090)
server.listen(256)
loop { waiting << server.accept }
