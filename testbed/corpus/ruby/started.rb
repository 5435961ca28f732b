# A worker that starts a connection for each file it fetches, and notes it in a list, in order to finish them all at the end
# of its work. It was a script once; now it is a daemon, and there is no end.
require "net/http"

started = []
at_exit { started.each(&:finish) }

(0..).each do |number|
  http = Net::HTTP.start("127.0.0.1", 8080)
  started << http
  http.get("/file/#{number}").body
  sleep 0.5 if number > 30
end
