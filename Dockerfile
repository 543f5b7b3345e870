# riffd in a container; docker/README.md says how to run it.
ARG NODE=22.23.1-bookworm-slim

FROM node:${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build
# The engine comes built for eight platforms, 20 MB each; the image has one.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && find node_modules/@surrealdb/node/dist -name '*.node' \
    ! -name "surrealdb-node.linux-$(node -p process.arch)-gnu.node" -delete

FROM node:${NODE}
# The owner of the transcripts: the files of others cannot be read.
ARG RIFFD_UID=1000
ARG RIFFD_GID=1000
# Two arenas: the engine's threads would otherwise each keep memory of their own.
ENV NODE_ENV=production \
  MALLOC_ARENA_MAX=2 \
  HOME=/state \
  RIFFD_STATE_DIR=/state \
  RIFFD_PROJECTS=/projects
# tini is process 1: it reaps what a shell in the container leaves. Nothing here installs packages.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* /usr/local/lib/node_modules /opt/yarn-* \
    /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
RUN install -d -m 0700 -o ${RIFFD_UID} -g ${RIFFD_GID} /state \
  && ln -s /riffd/dist/cli.js /usr/local/bin/riffd
WORKDIR /riffd
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY LICENSE LICENSE
COPY schema schema
COPY docs docs
COPY examples examples
COPY docker/health.mjs docker/health.mjs
USER ${RIFFD_UID}:${RIFFD_GID}
VOLUME /state
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["node", "/riffd/docker/health.mjs"]
ENTRYPOINT ["tini", "--", "riffd"]
CMD ["start"]
