// The text of riffd's launchd agent: a property list.
import { join } from "node:path";
import { type Program, stopSeconds } from "./program.ts";

export const LABEL = "local.riffd.daemon";

/** `errors` takes what is said before there is a log: the daemon's own log is its `log_file`. */
export function agentText(program: Program, errors: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
${dictionary({
  Label: LABEL,
  ProgramArguments: [program.node, program.riffd, "start"],
  EnvironmentVariables: sorted(program.variables),
  RunAtLoad: true,
  KeepAlive: { SuccessfulExit: false },
  ThrottleInterval: 10,
  ExitTimeOut: stopSeconds(program),
  Umask: 0o077,
  SoftResourceLimits: { Core: 0, NumberOfFiles: 65_536 },
  StandardOutPath: errors,
  StandardErrorPath: errors,
})}
</plist>
`;
}

/** What is said where there is no log yet: before it is open, and by what ends the process from below. */
export function agentErrors(home: string): string {
  return join(home, "Library", "Logs", "riffd", "errors.log");
}

type Value = string | number | boolean | readonly string[] | { readonly [key: string]: Value };

function dictionary(members: { readonly [key: string]: Value }, indent = ""): string {
  const inner = `${indent}  `;
  const lines = Object.entries(members).map(
    ([key, value]) => `${inner}<key>${escaped(key)}</key>\n${xml(value, inner)}`,
  );
  return `${indent}<dict>\n${lines.join("\n")}\n${indent}</dict>`;
}

function xml(value: Value, indent: string): string {
  if (typeof value === "string") return `${indent}<string>${escaped(value)}</string>`;
  if (typeof value === "number") return `${indent}<integer>${value}</integer>`;
  if (typeof value === "boolean") return `${indent}<${value}/>`;
  if (!isList(value)) return dictionary(value, indent);
  const items = value.map((item) => xml(item, `${indent}  `));
  return `${indent}<array>\n${items.join("\n")}\n${indent}</array>`;
}

function isList(value: Value): value is readonly string[] {
  return Array.isArray(value);
}

function sorted(variables: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** The variables that an agent sets, as `agentText` wrote them. */
export function variablesOf(agent: string): Record<string, string> {
  const [, members = ""] = /<key>EnvironmentVariables<\/key>\s*<dict>(.*?)<\/dict>/s.exec(agent) ?? [];
  const pairs = members.matchAll(/<key>(.*?)<\/key>\s*<string>(.*?)<\/string>/gs);
  return Object.fromEntries([...pairs].map(([, name, value]) => [unescaped(name!), unescaped(value!)]));
}

/** What an agent starts, word by word. */
export function commandOf(agent: string): string[] {
  const [, items = ""] = /<key>ProgramArguments<\/key>\s*<array>(.*?)<\/array>/s.exec(agent) ?? [];
  return [...items.matchAll(/<string>(.*?)<\/string>/gs)].map(([, text]) => unescaped(text!));
}

function unescaped(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
