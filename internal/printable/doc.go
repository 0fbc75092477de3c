// Package printable decides which characters of text from the network may reach a terminal or
// a log.
//
// In comes text (RDATA, extended errors, names in certificates); out comes the same text with
// each byte of unprintable characters as \DDD, the form of zone files (RFC 1035 §5.1). Control
// characters are unprintable, as are characters that change the direction of writing, and
// invalid UTF-8.
//
// It never changes what is kept or sent: only what people read.
package printable
