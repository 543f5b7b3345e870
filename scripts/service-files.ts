// The service files that come with riffd, as examples to read and to install by hand: the texts that `riffd service install`
// writes, with paths that need no installation to be known.
import { agentText } from "../src/service/launchd-agent.ts";
import { unitText } from "../src/service/systemd-unit.ts";

const PROGRAM = {
  node: "/usr/local/bin/node",
  riffd: "/usr/local/lib/node_modules/riffd/dist/cli.js",
  user: null,
  variables: {},
  drainSeconds: 20,
};

const LOGS = "/Users/ada/Library/Logs/riffd";

/** By their paths in the project. */
export function serviceFiles(): Record<string, string> {
  const command = "/usr/bin/env riffd start";
  const hand = (path: string, then: string) =>
    `# \`riffd service install\` writes such a file with the paths of this machine. By hand: ${path},\n# ${then}\n` +
    "# Before systemd 254, write RestartSec=10 instead of RestartSec, RestartSteps and RestartMaxDelaySec.\n\n";
  return {
    "systemd/riffd.service":
      hand(
        "~/.config/systemd/user/riffd.service",
        "then `systemctl --user daemon-reload` and `systemctl --user enable --now riffd`.",
      ) + unitText(PROGRAM, { command }),
    "systemd/riffd@.service":
      hand(
        "/etc/systemd/system/riffd@.service",
        "then `systemctl daemon-reload` and `systemctl enable --now riffd@ada`, for each user by name.",
      ) + unitText({ ...PROGRAM, user: "%i" }, { command }),
    "launchd/local.riffd.daemon.plist": agentText(
      { ...PROGRAM, variables: { RIFFD_LOG_FILE: `${LOGS}/riffd.log` } },
      `${LOGS}/errors.log`,
    ),
  };
}
