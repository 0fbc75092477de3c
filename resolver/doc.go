// Package resolver answers questions about the domain name system by asking the
// servers that are responsible, from the root down (RFC 1034 §5.3.3).
package resolver
