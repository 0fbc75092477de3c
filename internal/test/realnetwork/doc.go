// Package realnetwork tests the library with real packets in networks that block or intercept
// port 53, made by nftables in a network namespace of its own: NSD serves a signed root zone there,
// Knot DNS what is below it, and Unbound is the interceptor and the resolver to fall back to.
//
// It needs these programs, and leave to make the namespace: the tests are skipped where one is
// missing, and fail in CI.
package realnetwork
