// A server that runs a program for a request and waits for it with execFileSync. That program waits for a lock which a job
// of the night has and never gives back. Until it returns, Node's only loop stands still: it accepts nobody.
const http = require("node:http");
const { execFileSync } = require("node:child_process");

const server = http.createServer((request, response) => {
  execFileSync("flock", ["prices.lock", "true"]);
  response.end("ok\n");
});
server.listen(8080, "127.0.0.1");
