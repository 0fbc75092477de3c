// Package budget counts what the work on one question spends, and says when it is too much.
//
// In come charges (a query, a reply's bytes, a referral, an alias, a failed look-up of a name
// server) and waits for slots; out comes nil, or the error that names the limit that was
// reached. One [Budget] is for all the work that one question of a client causes (RFC 1034
// §5.3.3: "bound the amount of work"). [ConcurrencyLimits] bound how much of one kind is under
// way at the same time, and [Counters] are what Stats reads.
//
// It never resets a budget, and does not decide what is done instead.
//
// Unbound's words are max-global-quota, target-fetch-policy and max_sent_count; Knot
// Resolver's are the KR_* limits of lib/defines.h.
package budget
