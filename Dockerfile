# Copyright 2026 The rtgo Authors. All rights reserved.
# Use of this source code is governed by a BSD-style
# license that can be found in the LICENSE file.

# The toolchain and the latency suite as images; docs/docker.md.
#
#   docker build --target rtgo -t rtgo/rtgo .
#   docker build --target rtlatency -t rtgo/rtlatency .
#   ci/image.sh             both with all labels, also without docker or registry

# What the images stand on: Debian with apt. All stages need the same release.
ARG BASE=debian:bookworm-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251
# Anything with upstream's Go, 1.24.6 or later, in /usr/local/go. If it is the
# release that rtgo is built from, and matches the pin, its source is used;
# otherwise the go command fetches the toolchain of that release.
ARG BOOTSTRAP=golang:1.26.8-bookworm@sha256:dc9ad6c05acc7a88e5b71bde60a5fe3bd4b9f0db209011711b464107438a8107

# The time of the image, and of the files in its layers: BuildKit takes it from
# this argument (and --output rewrite-timestamp=true), buildah from --timestamp.
ARG SOURCE_DATE_EPOCH

FROM ${BOOTSTRAP} AS bootstrap

# The packages of the official golang image.
FROM ${BASE} AS tools
RUN apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		ca-certificates g++ gcc git libc6-dev make pkg-config >/dev/null \
	&& rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/*.log /var/log/apt

FROM tools AS build
COPY --from=bootstrap /usr/local/go /usr/local/go
WORKDIR /src
COPY . .
# What the labels say must be so.
ARG VERSION=1.26.8-rtgo1
ARG PATCHSET
RUN ./build.sh --no-demo --out /out \
	&& grep -q "\"version\": \"go$VERSION\"" "$(readlink -f /out/go).json" \
	&& grep -q "\"patchset\": \"$PATCHSET" "$(readlink -f /out/go).json" \
	&& mkdir -p /toolchain/usr/local /toolchain/go/src /toolchain/go/bin \
	&& tar -C /toolchain/usr/local -xzf /out/cache/dist/*/go$VERSION.linux-*.tar.gz \
	&& chmod -R 1777 /toolchain/go \
	&& rm -rf /out /root/.cache

# The programs of the latency suite: by rtgo, by upstream's Go, in C.
FROM build AS suite
ARG GOPROXY=
ARG GOSUMDB=
ARG SSL_CERT_FILE=
RUN apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends rt-tests >/dev/null \
	&& mkdir -p /suite/usr/local/bin \
	&& cp /usr/bin/cyclictest /usr/bin/hackbench /suite/usr/local/bin
RUN export CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false' bin=/suite/usr/local/bin \
	&& /toolchain/usr/local/go/bin/go build -o $bin/rtlatency ./test/rtlatency \
	&& /toolchain/usr/local/go/bin/go build -o $bin/rtgo ./cmd/rtgo \
	&& GOTOOLCHAIN=$(sed -n '1s/-rtgo.*//p' /toolchain/usr/local/go/VERSION) \
		/usr/local/go/bin/go build -o $bin/rtlatency-stock ./test/rtlatency \
	&& gcc -O2 -Wall -Werror -static -pthread -o $bin/ctwin test/rtlatency/ctwin/src/ctwin.c -lm \
	&& rm -rf /root/.cache /root/go

FROM tools AS rtgo
ARG BASE
ARG VERSION=1.26.8-rtgo1
ARG PATCHSET
ARG REVISION
LABEL org.opencontainers.image.title="rtgo" \
	org.opencontainers.image.description="Go with a runtime that understands real-time Linux; in the place of the golang image" \
	org.opencontainers.image.version="$VERSION" \
	org.opencontainers.image.revision="$REVISION" \
	org.opencontainers.image.licenses="BSD-3-Clause" \
	org.opencontainers.image.base.name="$BASE" \
	dev.rtgo.patchset="$PATCHSET"
ENV GOLANG_VERSION=$VERSION GOTOOLCHAIN=local GOPATH=/go PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY --from=build /toolchain /
WORKDIR /go
CMD ["bash"]
# Root, as in the golang image, whose users install packages. Nothing in it
# needs root: docker run --user works with any user that has a HOME.

FROM ${BASE} AS rtlatency
ARG BASE
ARG VERSION=1.26.8-rtgo1
ARG PATCHSET
ARG REVISION
LABEL org.opencontainers.image.title="rtlatency" \
	org.opencontainers.image.description="The latency suite of rtgo" \
	org.opencontainers.image.version="$VERSION" \
	org.opencontainers.image.revision="$REVISION" \
	org.opencontainers.image.licenses="BSD-3-Clause" \
	org.opencontainers.image.base.name="$BASE" \
	dev.rtgo.patchset="$PATCHSET"
RUN apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libnuma1 >/dev/null \
	&& rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/*.log /var/log/apt
COPY --from=suite /suite /
# An ordinary user; deploy/ gives the rights that real time needs.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["/usr/local/bin/rtlatency"]
