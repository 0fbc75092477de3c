// Package glue turns referrals into delegations: which name servers serve a zone
// below a zone cut, and which of their addresses the referral may teach
// (RFC 1034 §4.2.1, RFC 2181 §5.4.1, RFC 9471, terms of RFC 9499).
//
// It is pure: a referral's records go in, a Delegation or the reason for refusing
// it comes out.
package glue
