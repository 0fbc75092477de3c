// Package roothints tells a resolver where to start when it knows nothing: the
// names and addresses of the root name servers (SBELT in RFC 1034 §5.3.1).
//
// Default returns the hints that IANA publishes, embedded in the program together
// with their Date; Parse reads others from a hints file, for instance those of a
// test network or of an alternative root.
//
// Hints are a place to begin, not data: a resolver uses them to ask the root for
// its own name servers (priming, RFC 9609) and falls back on them when that fails.
// They are not signed, do not age, and are never an answer.
//
// # Hints file
//
// A hints file is a zone file (RFC 1035 §5.1) that holds nothing but NS records of
// the root and A and AAAA records of the servers these name. Comments,
// parentheses, $ORIGIN, $TTL, omitted owners, relative names, escapes, and TTL and
// class in either order are understood; TTLs are checked and then ignored. Since a
// mistake in this file is a resolver that cannot start, or starts at the wrong
// place, Parse is strict and says in which line it found one:
//
//   - a server without an address, and an address of a name that no NS record
//     lists, are refused: either is a misspelt name more often than not
//   - NS records of other owners than the root, other types and classes are
//     refused: a zone file or a signed answer is not a hints file
//   - $INCLUDE and $GENERATE are refused: reading hints opens no other file
//   - more than glue.MaxServers names, or glue.MaxAddrs addresses of one name, are
//     refused rather than cut: which ones to drop is not for the library to say
//   - a file of more than 64 KiB is refused
//
// Addresses need not be public: hints are the caller's own word.
package roothints
