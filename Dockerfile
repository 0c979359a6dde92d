# syntax=docker/dockerfile:1
# One static binary in an empty image: no shell, no libraries, no package manager. docs/deployment.md says how to run it;
# scripts/image-steps goes through the same steps without a container engine.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    ./docker/build-root /image

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s --retries=3 CMD ["/usr/local/bin/waypost", "probe"]
ENTRYPOINT ["/usr/local/bin/waypost"]
CMD ["serve", "--config", "/etc/waypost/endpoints.yml", "--host", "0.0.0.0"]
