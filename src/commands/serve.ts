// riffd serve: the embedded store for SurrealDB's own clients, over WebSocket and HTTP, until a signal ends it.
import { once } from "node:events";
import { resolveSettings, type Settings } from "../config/config.ts";
import { RiffError, systemCode, toError } from "../errors.ts";
import { type Listening, listen } from "../serve/listen.ts";
import { isLoopback } from "../serve/origin.ts";
import { RpcServer } from "../serve/rpc-server.ts";
import { defineUser, hasUsers, isUserName, LEVELS, type Query, ROLES } from "../serve/users.ts";
import { rpcPeer } from "../store/engine.ts";
import { openStore } from "../store/open.ts";
import type { Output } from "./output.ts";
import { askSecret } from "./secret.ts";
import { reportSetbacks } from "./setbacks.ts";

export interface ServeOptions {
  /** An address to listen at; false: only make the user. */
  readonly listen: string | false;
  readonly user?: string;
  readonly role: string;
  readonly level: string;
  readonly allowOrigin: readonly string[];
  readonly json: boolean;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Runs the command until `signal` is aborted, which is how it ends well. Returns its exit code. Throws RiffError. */
export async function serveCommand(options: ServeOptions, output: Output, signal: AbortSignal): Promise<number> {
  const address = options.listen === false ? null : parseAddress(options.listen);
  const settings = resolveSettings({ serve_user: options.user }, process.env);
  const user = await newUser(options, settings.serve);
  if (address === null && user === null) throw usage("With --no-listen, --user says whom to make.");
  const { store, setbacks, close } = await openStore({ kind: "embedded", dir: settings.storeDir }, settings);
  try {
    reportSetbacks(setbacks, output);
    const query: Query = (text) => store.database.run(text);
    if (user !== null) {
      await defineUser(query, user);
      output.note(`${user.name} may sign in as ${user.role} at the level ${user.level}.`);
    }
    if (address === null) return 0;
    if (!(await hasUsers(query))) throw nobodyMaySignIn();
    const rpc = await RpcServer.create(rpcPeer(settings.storeDir), {
      signin: "required",
      allowedOrigins: options.allowOrigin,
    });
    const listening = await listenAt(rpc, address, output);
    tellReady(listening, rpc, store.location, options, output);
    if (!signal.aborted) await once(signal, "abort");
    output.note("Stopping …");
    await listening.close();
    return 0;
  } finally {
    await close();
  }
}

async function newUser({ role, level }: ServeOptions, { user, pass }: Settings["serve"]) {
  if (user === null) return null;
  const chosen = {
    name: user,
    role: ROLES.find((known) => known === role),
    level: LEVELS.find((known) => known === level),
  };
  if (!isUserName(user)) throw usage(`"${user}" is no name for a user.`);
  if (chosen.role === undefined) throw usage(`"${role}" is no role: ${ROLES.join(", ")}.`);
  if (chosen.level === undefined) throw usage(`"${level}" is no level: ${LEVELS.join(", ")}.`);
  return { name: user, role: chosen.role, level: chosen.level, password: pass ?? (await newPassword(user)) };
}

async function newPassword(user: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw unsafe(
      `There is no password for ${user}, and no terminal to ask for it.`,
      "Give it in the environment as RIFFD_SERVE_PASS, or in a file as RIFFD_SERVE_PASS_FILE.",
    );
  }
  const typed = await askSecret(`Password for ${user}: `);
  if (typed === "") throw unsafe("The password is empty.");
  if ((await askSecret("Once more: ")) !== typed) throw unsafe("The passwords are not the same.");
  return typed;
}

async function listenAt(rpc: RpcServer, { host, port }: Address, output: Output): Promise<Listening> {
  if (!isLoopback(host)) {
    output.note(
      `Warning: ${host} can be reached from other machines, and passwords and conversations go there unencrypted. ` +
        "Put a proxy with TLS in front.",
    );
  }
  try {
    return await listen(rpc, host, port);
  } catch (thrown) {
    const taken = systemCode(thrown) === "EADDRINUSE";
    const why = taken ? "it is in use" : toError(thrown).message;
    throw new RiffError(
      "RIFF_SERVE_FAILED",
      `Cannot listen at ${formatAddress(host, port)}: ${why}.`,
      "Choose another address with --listen, or stop what uses it.",
      thrown,
    );
  }
}

function tellReady(
  { host, port }: Listening,
  { version }: RpcServer,
  store: string,
  { json }: ServeOptions,
  output: Output,
): void {
  const url = `ws://${formatAddress(host, port)}/rpc`;
  if (json) {
    output.line(JSON.stringify({ url, store, namespace: "nabi", database: "conversations", version }));
  } else {
    output.line(`Serving ${store} at ${url} (namespace nabi, database conversations)`);
  }
}

/** `host:port`, `[address]:port`, or `port` alone for this machine. Throws RIFF_USAGE. */
function parseAddress(text: string): Address {
  const [, host, digits] = /^(?:(\[[\da-f:.]+\]|[^:[\]]+):)?(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) throw usage(`"${text}" is no address to listen at, like 127.0.0.1:8000.`);
  return { host: (host ?? "127.0.0.1").replace(/^\[|\]$/g, ""), port };
}

function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function nobodyMaySignIn(): RiffError {
  return unsafe(
    "The store has no users, so nobody could sign in.",
    "Make one: `riffd serve --user NAME` asks for a password, makes the user, and serves.",
  );
}

function unsafe(message: string, hint = "`riffd serve --help` tells what there is."): RiffError {
  return new RiffError("RIFF_SERVE_FAILED", message, hint);
}

function usage(message: string): RiffError {
  return new RiffError("RIFF_USAGE", message, "`riffd serve --help` tells what there is.");
}
