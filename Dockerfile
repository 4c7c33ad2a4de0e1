# syntax=docker/dockerfile:1

# Builds from this source alone; needs no more than a C compiler beside Rust, which the image has.
FROM rust:1.95-slim-trixie AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --locked --release --bin tidegate && cp target/release/tidegate /usr/local/bin/tidegate

# Git is what a container is read with; ssh and the certificates are for fetching it from elsewhere.
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 tidegate \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/tidegate --no-create-home --no-log-init tidegate \
    && install --directory --owner=tidegate --group=tidegate --mode=0700 /var/lib/tidegate \
    && git config --system --add safe.directory /container
COPY --from=build /usr/local/bin/tidegate /usr/local/bin/tidegate
USER 10001:10001
# The folder and no variable says what is served, so that commands in another one, as in a workflow, look at that.
WORKDIR /container
ENV TIDEGATE_DATA=/var/lib/tidegate TIDEGATE_LISTEN=0.0.0.0:8080
VOLUME /var/lib/tidegate
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["tidegate"]
CMD ["serve"]
