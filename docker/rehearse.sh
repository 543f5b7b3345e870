#!/usr/bin/env bash
# Executes the steps of the Dockerfile without Docker, in a folder that it removes: npm ci, build, prune, then the daemon
# as another user (where this one is root) with a program folder that nobody can write, its health check, and SIGTERM.
#   docker/rehearse.sh [uid]
set -euo pipefail
cd "$(dirname "$0")/.."

uid=${1:-65534}
dockerfile=$PWD/Dockerfile
scratch=$(mktemp -d)
daemon=
finish() {
  if [ -n "$daemon" ]; then kill -KILL "$daemon" 2>/dev/null || true; fi
  chmod -R u+w "$scratch" && rm -rf "$scratch"
}
trap finish EXIT
chmod 755 "$scratch"

step() { printf '\n• %s\n' "$*"; }
fail() {
  printf 'Failed: %s\n' "$*" >&2
  if [ -f "$scratch/log" ]; then cat "$scratch/log" >&2; fi
  exit 1
}

step "the build context, without what .dockerignore leaves out"
mkdir -p "$scratch/build"
grep '^!' .dockerignore | cut -c 2- | tar -c -T - | tar -x -C "$scratch/build"

cd "$scratch/build"
step "stage build: npm ci, build, prune"
npm ci --ignore-scripts --no-audit --no-fund
npm run build
npm prune --omit=dev --ignore-scripts --no-audit --no-fund
find node_modules/@surrealdb/node/dist -name '*.node' \
  ! -name "surrealdb-node.$(node -p process.platform)-$(node -p process.arch)$([ "$(uname)" = Linux ] && echo -gnu).node" -delete

step "the image: only what the second stage copies, read-only"
image="$scratch/riffd"
mkdir "$image"
awk '/^FROM/ { stage++ } stage == 2 && sub(/^COPY (--from=build \/build\/)?/, "") { print $1 }' "$dockerfile" >"$scratch/copied"
tar -c -T "$scratch/copied" | tar -x -C "$image"
[ "$(LC_ALL=C ls "$image")" = "$(cut -d / -f 1 "$scratch/copied" | LC_ALL=C sort)" ] || fail "it has not what the Dockerfile copies"
rm -rf "$scratch/build"
chmod -R a-w "$image"
du -sh "$image"

if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all --no-new-privs)
else
  as=()
  uid=$(id -u)
fi
state="$scratch/state"
install -d -m 0700 "$state"
chown "$uid" "$state"
contained=(
  env -i PATH="$PATH" NODE_ENV=production MALLOC_ARENA_MAX=2 HOME="$state" RIFFD_STATE_DIR="$state"
  RIFFD_PROJECTS="$image/examples/projects" ${as[@]+"${as[@]}"}
)
run() { "${contained[@]}" "$@"; }
# The image's tini, where this machine has one; it is not process 1 here.
init=()
if command -v tini >/dev/null; then init=(tini -s --); fi

step "ENTRYPOINT, as user $uid"
cd "$image"
if [ "$uid" != 0 ] && run touch dist/written 2>/dev/null; then fail "the program folder can be written"; fi
if run node docker/health.mjs 2>/dev/null; then fail "the health check passes without a daemon"; fi
"${contained[@]}" ${init[@]+"${init[@]}"} node dist/cli.js start >"$scratch/log" 2>&1 &
daemon=$!

step "HEALTHCHECK, until it passes"
for attempt in $(seq 60); do
  if run node docker/health.mjs 2>/dev/null; then break; fi
  kill -0 "$daemon" 2>/dev/null || fail "the daemon has ended"
  [ "$attempt" -lt 60 ] || fail "no answer from the daemon"
  sleep 1
done

step "docker exec: status and verify"
run node dist/cli.js status
for attempt in $(seq 60); do
  if run node dist/cli.js verify --all | grep "4 sessions verified"; then break; fi
  [ "$attempt" -lt 60 ] || fail "the sample is not in the store"
  sleep 1
done

step "STOPSIGNAL"
kill -TERM "$daemon"
code=0
wait "$daemon" || code=$?
daemon=
[ "$code" = 0 ] || fail "SIGTERM ended it with $code"
if run node docker/health.mjs 2>/dev/null; then fail "the health check passes although the daemon has ended"; fi
[ "$uid" = "$(stat -c %u "$state/store" 2>/dev/null || stat -f %u "$state/store")" ] || fail "the store is not the user's"
printf '\n✓ rehearsed, as user %s\n' "$uid"
