// Package reach decides what the network that this host is in lets through to the root servers,
// and so to all other name servers: UDP, only TCP, or neither.
//
// In come single observations: that a root server was silent over UDP, or that something that is
// no root server answered in its place; that one did answer, and over what; that a question failed
// at all of them. Out comes a [Way]. It changes only after several servers and several questions
// have shown the same, ends by itself, and says when one query may test whether it still holds.
//
// It never sends or waits, and does not decide what an observation is: package iterate does.
//
// Unbound's words are tcp-upstream and forward-first, which an operator sets by hand.
package reach
