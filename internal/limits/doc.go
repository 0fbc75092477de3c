// Package limits is the table of the bounds on work: for each its name, its default, whom it
// bounds, and whether a question that reaches it has an answer, which is unusable.
//
// In come the Limits of the options and the errors of parsers and the validator; out come the
// limits filled in, which of them was reached, and the [Error] that names it.
//
// It never counts what is spent: package budget does.
//
// In Unbound they are the options max-* and num-*, and the constants MAX_* of its iterator
// and validator; in Knot Resolver, KR_* of lib/defines.h.
package limits
