// Exit code 0 as long as the daemon answers on its control socket; loads nothing of riffd.
import { get } from "node:http";

const socketPath = process.env.RIFFD_SOCKET || `${process.env.RIFFD_STATE_DIR}/riffd.sock`;
const request = get({ socketPath, path: "/v1/live", timeout: 5_000 }, (answer) => {
  process.exit(answer.statusCode === 200 ? 0 : 1);
});
request.on("timeout", () => request.destroy(new Error("the daemon does not answer")));
request.on("error", ({ message }) => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
});
