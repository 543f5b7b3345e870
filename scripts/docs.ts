// Writes what docs/, systemd/ and launchd/ say of the code.
import { readFileSync, writeFileSync } from "node:fs";
import { withFieldTable } from "./field-table.ts";
import { serviceFiles } from "./service-files.ts";

const page = new URL("../docs/configuration.md", import.meta.url);
writeFileSync(page, withFieldTable(readFileSync(page, "utf8")));
for (const [path, text] of Object.entries(serviceFiles())) writeFileSync(new URL(`../${path}`, import.meta.url), text);
