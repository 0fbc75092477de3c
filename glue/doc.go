// Package glue decides which delegation a referral makes: which name servers serve a
// zone below a zone cut, and which of their addresses the referral may bring
// (RFC 1034 §4.2.1, RFC 2181 §5.4.1, RFC 9471, terms of RFC 9499).
//
// In come the records of a referral and the zone of its sender; out comes a
// [Delegation], or the reason why the referral is refused. It never looks up an
// address that is missing, and never returns glue as an answer.
package glue
