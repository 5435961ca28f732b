-- A server with a coroutine for each session. A session that needs the price list waits in a table for the next one, under the
-- list's name: a second session that waits for the same list takes the place of the first, which nobody resumes any more.
local socket = require("socket")

local listener = assert(socket.bind("127.0.0.1", 8080, 128))
listener:settimeout(0)
local sessions, reading, waiting = {}, { listener }, {}

local function session(client)
  repeat
    local line = client:receive("*l")
  until not line or line == ""
  waiting["prices"] = coroutine.running()
  local prices = coroutine.yield()
  client:send("HTTP/1.1 200 OK\r\nContent-Length: " .. #prices .. "\r\nConnection: close\r\n\r\n" .. prices)
  client:close()
  sessions[client] = nil
end

local last = socket.gettime()
while true do
  for _, ready in ipairs((socket.select(reading, nil, 0.1))) do
    if ready == listener then
      local client = listener:accept()
      if client then
        client:settimeout(1)
        sessions[client] = coroutine.create(session)
        reading[#reading + 1] = client
      end
    else
      for place, one in ipairs(reading) do
        if one == ready then table.remove(reading, place) end
      end
      coroutine.resume(sessions[ready], ready)
    end
  end
  if socket.gettime() - last > 1 then
    last = socket.gettime()
    for name, who in pairs(waiting) do
      waiting[name] = nil
      coroutine.resume(who, "1 apple 3 pence")
    end
  end
end
