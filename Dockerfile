# An image with the static binary and the certificates of public authorities:
#
#   docker build --build-arg REVISION="$(git rev-parse --short=12 HEAD)" --tag atlas-backup-exporter:0.1.0 .
#   docker run --rm --publish 127.0.0.1:10027:10027 atlas-backup-exporter:0.1.0 demo
#
# It runs as an unprivileged user, needs no capability and writes no file: use --read-only and
# --cap-drop=ALL.

FROM scratch AS base
ARG REVISION=unknown
LABEL org.opencontainers.image.title="atlas-backup-exporter" \
      org.opencontainers.image.description="Prometheus exporter for MongoDB Atlas backup snapshot export jobs" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
# The user of distroless images.
USER 65532:65532
EXPOSE 10027
ENTRYPOINT ["/atlas-backup-exporter"]
CMD ["--config.file=/etc/atlas-backup-exporter/config.toml"]

# The binaries of a release, one for each architecture; deploy/release builds this stage.
FROM base AS released
ARG TARGETARCH
COPY $TARGETARCH /

FROM rust:1.95-slim-bookworm AS build
# The newest versions: Debian removes a pinned version with the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs LICENSE THIRD-PARTY-LICENSES.txt ./
COPY src src
COPY crates crates
# Cargo.toml lists the benchmarks.
COPY benches benches
COPY deploy/static deploy/
# The revision of build_info: the build has no access to git.
ARG REVISION=unknown
RUN cp "$(BUILD_REVISION="$REVISION" deploy/static)" /

FROM base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /build/LICENSE /build/THIRD-PARTY-LICENSES.txt /usr/share/doc/atlas-backup-exporter/
COPY --from=build /atlas-backup-exporter /
