// Package mesh decides which questions of clients are worked on, and what a client gets
// meanwhile.
//
// In comes a question; out comes its answer: from the cache, from a flight that equal
// questions share, or an expired one when the servers fail or take too long (serve-stale, RFC
// 8767 §5). The package hands out the slots of Limits.Questions, sheds slow questions of
// clients for new ones when all are taken, refreshes entries in use before they expire
// (prefetch), and leaves out addresses that are not allowed.
//
// It never asks a server, and does not know how an answer is found: package iterate does. It
// knows no messages: package serve does.
//
// The word is Unbound's (services/mesh.c), as are jostle list, serve-expired and prefetch. In
// Knot Resolver it is the worker's tasks, and the modules serve_stale and prefetch.
package mesh
