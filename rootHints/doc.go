// Package roothints decides where a resolver starts that knows nothing: at the names
// and addresses of the root name servers (SBELT in RFC 1034 §5.3.1).
//
// In comes a hints file, or nothing; out comes the root's delegation. [Default]
// returns the hints that IANA publishes, embedded in the program together with their
// [Date]; [Parse] reads others, for instance those of a test network or of an
// alternative root. The package never sends a query and never opens a file.
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
//     refused rather than cut: the library cannot know which ones to drop
//   - a file of more than 64 KiB is refused
//
// Addresses need not be public: hints come from the caller.
package roothints
