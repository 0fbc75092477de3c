// Package infra remembers what is known of each server address, as Unbound's infra
// cache does: its round-trip time, whether it is marked down, lame for a zone
// (RFC 1034 §4.2.2) or without EDNS, whether it keeps letter case, and its DNS cookie.
//
// In come the time and the outcome of each query (a reply and how long it took, a
// timeout, a refusal); out come an [Estimate] and [Features] of an address. It
// decides how long a reply may take, when a server is marked down and when that
// ends. It never sends anything and never chooses a server; package slist does,
// from the estimates. All state is bounded and expires, so that a server is not
// avoided for ever because of one bad hour.
package infra
