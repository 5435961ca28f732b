// A server for long polls: it answers each question after 50 s, also when the client has ended its direction before
// (allowHalfOpen), and then ends the connection. Its clients have not that much patience.
const net = require("node:net");

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.once("data", () => {
    setTimeout(() => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), 50_000);
  });
  socket.on("error", () => socket.destroy());
});
server.listen(8080, "127.0.0.1");
