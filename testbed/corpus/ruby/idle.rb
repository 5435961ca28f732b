# A pool of connections of Net::HTTP, all given back. Net::HTTP looks at a connection only when it is used: one that was idle
# for more than two seconds (keep_alive_timeout) it closes then, and makes a new one. There is work again after as many
# seconds as the argument says.
require "net/http"

pool = Queue.new
25.times { pool << Net::HTTP.start("127.0.0.1", 8080) }

loop do
  3.times do
    calls = Array.new(25) do |number|
      Thread.new do
        http = pool.pop
        http.get("/item/#{number}").body
      ensure
        pool << http
      end
    end
    calls.each(&:join)
  end
  sleep Integer(ARGV[0])
end
