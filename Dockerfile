# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS builder
WORKDIR /build
ENV CARGO_TARGET_DIR=/cache/target
COPY scripts/ scripts/
RUN scripts/setup.sh
COPY . .
# Crates and build outputs stay in BuildKit's cache; the binary is copied out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/cache/target,sharing=locked \
    . scripts/env.sh && \
    cargo build --release --locked --package levibot --bin levibot && \
    install -D --strip /cache/target/release/levibot /out/levibot

FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 levibot && \
    useradd --system --uid 10001 --gid levibot --home-dir /app --shell /usr/sbin/nologin levibot && \
    install -d -o levibot -g levibot -m 0750 /app /app/data /app/logs /app/engine_registry
WORKDIR /app
COPY --from=builder /out/levibot /usr/local/bin/levibot
COPY config/ config/
COPY policies/ policies/
COPY --chown=levibot:levibot engine_registry/registry.schema.json engine_registry/
USER levibot
VOLUME ["/app/data", "/app/logs", "/app/engine_registry"]
EXPOSE 8000
STOPSIGNAL SIGINT
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["levibot", "status", "--json"]
ENTRYPOINT ["levibot"]
# Inside a container loopback reaches nobody. Publish the port on the host's loopback only: -p 127.0.0.1:8000:8000
CMD ["run", "--config", "config/levibot.toml", "--http-bind", "0.0.0.0:8000", "--allow-non-loopback"]
