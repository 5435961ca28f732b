// A client that looks at the status, and at the answer itself only when that is a 200. An answer that is neither read
// (resume) nor thrown away (destroy) keeps its connection, and the agent has 50 at most. Node takes one read's worth of it
// (64 KiB) into its own buffers, and stops to read from the socket: the end stays unseen. After a short answer the end is
// seen and the socket closed, so that it shows only where error pages are long. With the argument "keep" it is an agent that
// keeps connections, as the default one is since Node 19; that also sets SO_KEEPALIVE, with a probe after one second.
const http = require("node:http");

const agent = new http.Agent({ keepAlive: process.argv[2] === "keep", maxSockets: 50 });

function ask(number) {
  const options = { host: "127.0.0.1", port: 8080, path: `/item/${number}`, agent };
  const request = http.get(options, (answer) => {
    if (answer.statusCode !== 200) {
      console.log(number, answer.statusCode);
      return;
    }
    answer.resume();
  });
  request.on("error", (error) => console.log(number, error.message));
}

let number = 0;
setInterval(() => ask(number++), 100);
