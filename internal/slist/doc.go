// Package slist decides which server of a zone is asked next, and which name server's
// addresses are looked up.
//
// In come a zone cut, with the addresses that glue, cache and options have for its name
// servers, and what package infra knows of each; out comes a [List], the SLIST of RFC 1034
// §5.3.3: the server to ask now and why, the name server to look up now and how. An address
// that may not be asked never gets onto it. The package also says which server gets the plain
// retry, the one query that is sent when all servers of a zone have failed, and how often a
// zone may have one.
//
// It never sends, waits, or looks an address up: package iterate does, and says what came of
// it.
//
// Unbound's words are delegation point and server selection (iterator/iter_delegpt.c,
// iter_utils.c); Knot Resolver's is server selection (lib/selection.c).
package slist
