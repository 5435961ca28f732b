// An HTTP/2 server that takes its time for an answer, and says goodbye to connections that have been idle for 5 s.
const http2 = require("http2");

const server = http2.createServer();
server.on("session", (session) => session.setTimeout(5000, () => session.close()));
server.on("stream", (stream) => {
  setTimeout(() => {
    stream.respond({ ":status": 200, "content-type": "text/plain" });
    stream.end("x".repeat(300));
  }, 500);
});
server.listen(8080, "127.0.0.1");
