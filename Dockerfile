# The production binary, without demo and simulator, as an unprivileged user.
#   docker build -t gerbang .
#   docker run -p 127.0.0.1:8080:8080 -v gerbang:/data gerbang

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Only this package: building the workspace would unify the simulator's features into it.
# Linux on 64-bit ARM has pages of up to 64 KiB: an allocator that was built for smaller ones does not start there.
RUN if [ "$(uname -m)" = aarch64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi; \
    cargo build --profile dist --locked --package gerbang && mkdir /data

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --user-group --no-create-home gerbang
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/dist/gerbang /usr/local/bin/gerbang
COPY --from=build --chown=10001:10001 --chmod=0700 /data /data
# For a media store that several nodes share: a volume that is mounted here belongs to the user.
COPY --from=build --chown=10001:10001 --chmod=0700 /data /media
ENV GERBANG_LISTEN=0.0.0.0:8080 GERBANG_DATA_DIR=/data
VOLUME /data
WORKDIR /data
EXPOSE 8080
USER 10001
CMD ["gerbang", "serve"]
