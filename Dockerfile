# The production binary, without demo and simulator, as an unprivileged user.
#   docker build -t gerbang .
#   docker run -p 127.0.0.1:8080:8080 -v gerbang:/data gerbang

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Only this package: building the workspace would unify the simulator's features into it.
RUN cargo build --release --locked --package gerbang && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/gerbang /usr/local/bin/gerbang
COPY --from=build --chown=nonroot:nonroot /data /data
ENV GERBANG_LISTEN=0.0.0.0:8080 GERBANG_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
USER nonroot
ENTRYPOINT ["/usr/local/bin/gerbang"]
CMD ["serve"]
