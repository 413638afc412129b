# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS builder
WORKDIR /build
ENV CARGO_TARGET_DIR=/cache/target
# A layer of its own: compilers, libtorch and CMake stay while the sources change.
COPY scripts/ scripts/
RUN scripts/setup.sh
COPY . .
# Crates and build outputs stay in BuildKit's cache; the binaries are copied out of it, with the libraries that the model
# is run with. Without its symbol table libtorch_cpu.so is 90 MB smaller.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/cache/target,sharing=locked \
    . scripts/env.sh && \
    cargo build --release --locked --workspace --bins && \
    install -D --strip --target-directory=/out/bin /cache/target/release/levibot /cache/target/release/levibot-model && \
    install -D --mode=0644 --target-directory=/out/lib/levibot "$LIBTORCH"/lib/*.so* && \
    strip --strip-unneeded /out/lib/levibot/libtorch_cpu.so && \
    cp -r "$LIBTORCH/licenses" /out/lib/levibot/licenses && \
    /out/bin/levibot-model --help >/dev/null

FROM debian:bookworm-slim
# Certificates of authorities, for whoever is spoken to by HTTPS.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN groupadd --system --gid 10001 levibot && \
    useradd --system --uid 10001 --gid levibot --home-dir /app --shell /usr/sbin/nologin levibot && \
    install -d -o levibot -g levibot -m 0750 /app /app/data /app/logs /app/engine_registry
WORKDIR /app
# levibot-model looks for its libraries in ../lib/levibot.
COPY --from=builder /out/lib/levibot/ /usr/local/lib/levibot/
COPY --from=builder /out/bin/ /usr/local/bin/
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
