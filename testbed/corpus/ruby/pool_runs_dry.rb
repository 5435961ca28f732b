# A server with five workers and a pool of 20 connections to another service. An answer that is no 200 raises, and the
# connection is given back only where nothing raises ("ensure" is missing). When the pool is empty all workers wait for it,
# and the clients for the workers.
require "socket"

class Stock
  def get(path)
    @socket ||= TCPSocket.new("127.0.0.1", 8080)
    @socket.write("GET #{path} HTTP/1.1\r\nHost: stock\r\n\r\n")
    status = @socket.gets.to_s
    raise IOError, status unless status.include?(" 200 ")

    body = @socket.read
    @socket.close
    @socket = nil
    body
  end
end

stocks = Array.new(20) { Stock.new } # the list that the page of figures shows
pool = Queue.new
stocks.each { |stock| pool << stock }
waiting = Queue.new

serve = lambda do |client|
  path = client.gets.to_s.split[1]
  stock = pool.pop
  body = stock.get(path)
  pool << stock
  client.write("HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\n\r\n#{body}")
rescue SystemCallError, IOError
  client.write("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") rescue nil
ensure
  client.close
end

5.times { Thread.new { loop { serve.call(waiting.pop) } } }
server = TCPServer.new("127.0.0.1", 9090)
server.listen(256)
loop { waiting << server.accept }
