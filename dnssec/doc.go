// Package dnssec decides the security status of a response (Secure, Insecure, Bogus or
// Indeterminate, RFC 4035 §4.3), and why.
//
// It takes trust anchors, the responses of the walk from the root, and the time; it
// returns a [Verdict], or the list of the responses that are still needed. It never sends
// a query, reads a clock or keeps anything between questions: its caller does.
//
// A [Validator] is made once, of trust anchors. For each question an [Evidence] takes
// the responses of the walk from the root: referrals with their DS or the proof that
// there is none, and DNSKEY RRsets. [Evidence.Validate] then judges a response: it
// returns a [Verdict], or the list of what it still needs, which can all be fetched at
// the same time. [Evidence.Prefetch] says early what that will be. All work is charged
// to a [Work], one for each client question. A caller that keeps a [SignatureMemory] has no
// signature computed twice ([Evidence.Remember]).
//
//	v, err := dnssec.New(dnssec.Options{})
//	e := v.Evidence(now, now, dnssec.NewWork(dnssec.Limits{}))
//	e.Add(referral) // each one on the way
//	verdict, needs, err := e.Validate(response)
//
// A verdict carries its reason with an Extended DNS Error code, and the chain of trust
// as evidence that [VerifyChain] checks again without anything else.
//
// # Standards
//
// RFC 4033 to 4035 and their clarifications in RFC 6840; RFC 5155 and 9276 (NSEC3);
// RFC 9824 (compact denial); RFC 4509, 5702, 6605, 8080, 9904 and 9905 (algorithms and
// digests); RFC 5011 (rollover of trust anchors, as the value [Rollover], which a [RolloverStore] keeps); RFC 7646
// (negative trust anchors); RFC 8198 (synthesis from denials, [Synthesise]); RFC 8901
// (several signers); RFC 8914 (reasons as Extended DNS Errors).
//
// A proof of nonexistence uses records of exactly one zone, which has to be the zone
// that holds the name: signatures of zones above a known zone cut are not counted.
// The records that a verdict rests on are verified, and with a Secure denial the other
// NSEC and NSEC3 records of its zone; everything else in a response is ignored.
//
// # Limitations
//
// Only class IN. Algorithm 16 (Ed448) and other algorithms that Go's standard library
// lacks have to be added by [Options.Algorithms] (examples/ed448 has Ed448); zones that have no other are
// Insecure. RSA keys are 1024 to 4096 bits long with exponents up to 2^31-1; a zone all
// of whose DS lead to other keys is Insecure, data signed only by such a key in a zone
// with usable ones is Bogus. A DNAME made from a wildcard is Bogus (RFC 6672 §3.3 leaves
// it undefined). Compact denial is understood with NSEC only.
//
// Unsigned data in an opt-out range of NSEC3 is Insecure: it may belong to an insecure
// delegation, which cannot be told (RFC 5155 §12.1).
//
// # Bugs
//
// None known.
package dnssec
