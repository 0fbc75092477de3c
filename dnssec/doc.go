// Package dnssec holds what DNSSEC validation works on and decides: RRsets in
// packed form, security status, trust anchors, and the validator. It does no I/O:
// what it needs it asks its caller for.
package dnssec
