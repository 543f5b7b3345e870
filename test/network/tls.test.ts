// A store behind TLS: wss:// and https://, with a certificate that this machine knows, and one that it does not.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { createServer, type Server } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl, SESSION } from "../support/builders.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { PASSWORD, TestServer, USER } from "../support/server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const folder = scratchFolder();
const projects = join(folder, "projects");
const certificate = join(folder, "certificate.pem");
const key = join(folder, "key.pem");

const made = spawnSync("openssl", [
  ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
  ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
]);
const canEncrypt = made.status === 0;
if (!canEncrypt) console.warn("skipped: a store behind TLS (there is no openssl to make a certificate)");

let proxy: Server;
let port: number;

beforeAll(async () => {
  if (!canEncrypt) return;
  mkdirSync(join(projects, "-p"), { recursive: true });
  const file = join(projects, "-p", `${SESSION}.jsonl`);
  writeFileSync(file, jsonl(...chain(20)));
  utimesSync(file, 1_750_000_000, 1_750_000_000);
  const server = await TestServer.start(scratchFolder());
  proxy = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (client) => {
    const upstream = connect(server.port, "127.0.0.1");
    client.pipe(upstream).pipe(client);
    for (const side of [client, upstream]) side.on("error", () => {}); // a client that goes away
  });
  proxy.on("tlsClientError", () => {}); // one that does not trust it
  proxy.listen(0, "localhost");
  await once(proxy, "listening");
  port = (proxy.address() as AddressInfo).port;
});

afterAll(async () => {
  killRunning();
  proxy?.close();
  await removeScratch();
});

function environment(scheme: string): Record<string, string> {
  return {
    SURREALDB_URL: `${scheme}://localhost:${port}`,
    SURREALDB_USER: USER,
    SURREALDB_PASS: PASSWORD,
    SURREALDB_DB: `over_${scheme}`,
  };
}

describe.skipIf(!canEncrypt).each(["wss", "https"])("over %s", (scheme) => {
  test("a session is synced and verified", async () => {
    const options = { env: { ...environment(scheme), NODE_EXTRA_CA_CERTS: certificate } };
    const state = scratchFolder();
    const synced = await riffd(state, ["sync", "--all", "--json", "--projects", projects], options);
    expect([synced.code, synced.stderr]).toEqual([0, ""]);
    expect(synced.stdout).toContain('"statuses":{"imported":1}');
    expect(await riffd(state, ["verify", "--all"], options)).toMatchObject({ code: 0, stderr: "" });
  });

  test("a certificate that nobody knows is told, at once", async () => {
    const { code, stderr } = await riffd(scratchFolder(), ["verify", "--all"], { env: environment(scheme) });
    expect(code).toBe(EXIT_CODES.RIFF_STORE_UNREACHABLE);
    expect(stderr).toMatch(/self-signed certificate/);
    expect(stderr).toContain("NODE_EXTRA_CA_CERTS");
  });
});
