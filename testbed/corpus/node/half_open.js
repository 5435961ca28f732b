// A server that may answer after the client's half-close: allowHalfOpen is true. Whoever sets it has to call end() or
// destroy() himself, once he is told of the client's end. Here that was forgotten for those who have their answer.
const net = require("node:net");

const sessions = new Set();
const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  sessions.add(socket);
  socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  socket.on("close", () => sessions.delete(socket));
  socket.on("error", (error) => console.log(error.message));
});
server.listen(8080, "127.0.0.1");
