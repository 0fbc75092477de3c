// Differential asks this library and four resolvers of other authors (Unbound, BIND,
// Knot Resolver and PowerDNS Recursor, as Debian ships them) the same questions about
// one mock Internet, and compares what they say.
//
//	go run ./internal/test/differential -questions 10000 -seed 1
//
// The Internet is made from the seed: webs of CNAME and DNAME records over many zones,
// wildcards, empty non-terminals, odd TTLs, delegations of all sorts, lame and dead
// servers, all ways of signing and many of signing wrongly. It is served on port 53 of
// documentation addresses in a network namespace of its own, from which nothing leaves;
// so Linux is needed, and root or leave to make user namespaces.
//
// Compared are RCODE, the records and signatures of the answer, AD, and whether a
// negative or wildcard answer comes with its proof; TTLs of ours are held against those
// written in the zones. A difference that is left when the question has been asked again
// must fall into a class of classes.txt, which says what it may look like, whose answer it
// may be, what there must be about the question, and why we answer as we do. A difference
// in no class makes the program fail. So does a class that nothing falls into, if all
// classes could have been met (flag -unused). How far it is, is told on standard error; the last line
// begins with PASS or FAIL.
package main
