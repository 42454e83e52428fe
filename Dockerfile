# The static binary, the certificates of the public authorities, and nothing else:
#
#   docker build --build-arg REVISION="$(git rev-parse --short=12 HEAD)" --tag atlas-backup-exporter:0.1.0 .
#   docker run --rm --publish 127.0.0.1:10027:10027 atlas-backup-exporter:0.1.0 demo
#
# It runs as nobody in particular, needs no capability and writes nothing: --read-only --cap-drop=ALL will do.

FROM rust:1.95-slim-bookworm AS build
# Their newest versions, whatever they are: one that is pinned is gone from Debian with the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
COPY crates crates
# Cargo.toml names them.
COPY benches benches
COPY deploy/static deploy/
# What build_info says of the source; there is no git in here to ask.
ARG REVISION=unknown
RUN cp "$(BUILD_REVISION="$REVISION" deploy/static)" /

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title="atlas-backup-exporter" \
      org.opencontainers.image.description="Prometheus exporter for MongoDB Atlas backup snapshot export jobs" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /atlas-backup-exporter /
# nobody's own number: distroless images have made it a custom.
USER 65532:65532
EXPOSE 10027
ENTRYPOINT ["/atlas-backup-exporter"]
CMD ["--config.file=/etc/atlas-backup-exporter/config.toml"]
