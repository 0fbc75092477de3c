package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// outcome is what a resolver has said, as far as it is compared.
type outcome struct {
	rcode      string
	ad         bool
	answer     []string // records without TTL and letter case of owners, sorted
	signatures []string // "owner type" of the RRSIG records of the answer, sorted
	proof      string   // of what is not there: see proofOf
}

// noReply is the rcode of a resolver that has not answered.
const noReply = "NOREPLY"

// newOutcome reads a reply.
func newOutcome(m *dns.Msg) outcome {
	o := outcome{rcode: dns.RcodeToString[m.Rcode], ad: m.AuthenticatedData}
	for _, rr := range m.Answer {
		owner := strings.ToLower(rr.Header().Name)
		if sig, ok := rr.(*dns.RRSIG); ok {
			o.signatures = append(o.signatures, owner+" "+dns.Type(sig.TypeCovered).String())
			continue
		}
		o.answer = append(o.answer, plain(rr, owner))
	}
	o.answer, o.signatures = set(o.answer), set(o.signatures)
	o.proof = proofOf(m)
	return o
}

func set(lines []string) []string {
	slices.Sort(lines)
	return slices.Compact(lines)
}

// plain writes a record without TTL. The letter case of names in the data, which some
// servers and compression change, means nothing in the types that are asked for.
func plain(rr dns.RR, owner string) string {
	rr = dns.Copy(rr)
	rr.Header().Name, rr.Header().Ttl = owner, 0
	return strings.ToLower(strings.ReplaceAll(rr.String(), "\t", " "))
}

// proofOf says what the authority section has: "soa", and the denial with "nsec" or
// "nsec3", each followed by "+sig" if there is a signature of it.
func proofOf(m *dns.Msg) string {
	var has, signed []string
	for _, rr := range m.Ns {
		rrtype := rr.Header().Rrtype
		if sig, ok := rr.(*dns.RRSIG); ok {
			signed = append(signed, dns.Type(sig.TypeCovered).String())
			continue
		}
		if rrtype == dns.TypeSOA || rrtype == dns.TypeNSEC || rrtype == dns.TypeNSEC3 {
			has = append(has, dns.Type(rrtype).String())
		}
	}
	var parts []string
	for _, rrtype := range set(has) {
		part := strings.ToLower(rrtype)
		if slices.Contains(signed, rrtype) {
			part += "+sig"
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ",")
}

// String returns an outcome in one line.
func (o outcome) String() string {
	s := o.rcode
	if o.ad {
		s += " AD"
	}
	return fmt.Sprintf("%s answer %q signatures %q proof %s", s, o.answer, o.signatures, o.proof)
}

// aspect is one thing that outcomes are compared in.
type aspect string

// The aspects.
const (
	aspectRcode      aspect = "rcode"
	aspectAD         aspect = "ad"
	aspectAnswer     aspect = "answer"
	aspectSignatures aspect = "signatures"
	aspectProof      aspect = "proof"
)

// difference maps the aspects in which two outcomes differ to "OURS > THEIRS". It is
// empty if they do not.
type difference map[aspect]string

// compare lists the differences of two outcomes. Where one of them is a failure there is
// nothing else to compare, and whether a resolver says SERVFAIL or nothing is the same.
func compare(ours, theirs outcome) difference {
	d := make(difference)
	if failed(ours) && failed(theirs) {
		return d
	}
	d.note(aspectRcode, ours.said(), theirs.said())
	if failed(ours) || failed(theirs) {
		return d
	}
	d.note(aspectAD, yesNo(ours.ad), yesNo(theirs.ad))
	d.notePair(aspectAnswer, ours.answer, theirs.answer)
	d.notePair(aspectSignatures, ours.signatures, theirs.signatures)
	d.note(aspectProof, ours.proof, theirs.proof)
	return d
}

func failed(o outcome) bool { return o.said() == dns.RcodeToString[dns.RcodeServerFailure] }

// said is the rcode, or SERVFAIL where nothing was said.
func (o outcome) said() string {
	if o.rcode == noReply {
		return dns.RcodeToString[dns.RcodeServerFailure]
	}
	return o.rcode
}

// negative reports whether the answer is that something is not there.
func (o outcome) negative() bool { return !failed(o) && strings.Contains(o.proof, "soa") }

func (d difference) note(a aspect, ours, theirs string) {
	if ours != theirs {
		d[a] = ours + " > " + theirs
	}
}

// notePair compares sets: "all", "some" (of the other's), "none", "others".
func (d difference) notePair(a aspect, ours, theirs []string) {
	switch {
	case slices.Equal(ours, theirs):
	case len(theirs) == 0:
		d[a] = "some > none"
	case len(ours) == 0:
		d[a] = "none > some"
	case contains(ours, theirs):
		d[a] = "more > fewer"
	case contains(theirs, ours):
		d[a] = "fewer > more"
	default:
		d[a] = "some > others"
	}
}

// contains reports whether all of some are in all.
func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// String lists the aspects in a fixed order.
func (d difference) String() string {
	var parts []string
	for a, what := range d {
		parts = append(parts, string(a)+" "+what)
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}
