// Package minimise decides how much of a name the servers of a zone are asked for (RFC 9156).
//
// In come the question and the limit of minimised queries, and on the way the zones that are
// asked and the names that turned out to be no zone cut; out comes the question that the servers
// of a zone get next: a shorter name with type A, or the full question. The package decides how
// many labels each query reveals (RFC 9156 §2.3, MAX_MINIMISE_COUNT and MINIMISE_ONE_LAB), and
// asks the full question from when the limit is reached or minimising is given up.
//
// It never sends, waits, or looks at a response. What a response to a minimised query means, and
// which failures make a walk give up, is in package iterate (handleMinimised and fallBack of the
// walk); for how many queries a whole question may minimise is in package budget.
//
// Unbound's words are qname-minimisation and minimisation state (iterator/iterator.c); Knot
// Resolver's is query name minimization, and its option NO_MINIMIZE (lib/layer/iterate.c).
package minimise
