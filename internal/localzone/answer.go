package localzone

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
)

// Answer answers a question for a name at or below z. direct is false when the question comes
// from an alias or a delegation: the addresses of localhost are only for questions for localhost
// itself. A denial says by an extended error where it comes from.
func (z SpecialUse) Answer(q answer.Question, direct bool) *answer.Answer {
	a := z.find(q.Name, q.Type, direct)
	f := answerOf(q, a)
	if a.SOA == nil {
		return f
	}
	f.TTL = TTL // longer than others' denials, RFC 6303 §3
	f.Extended = []failure.ExtendedError{{Code: dns.ExtendedErrorCodeOther, Text: z.reason()}}
	return f
}

// reason is the text of the extended error of a denial.
func (z SpecialUse) reason() string { return "answered locally: special-use name, " + z.RFC }

// DeniedBy returns the special-use name because of which an answer is a denial, though no server
// was asked; false when the denial is a server's or that of a local zone.
func DeniedBy(a *answer.Answer) (SpecialUse, bool) {
	if a.SOA == nil {
		return SpecialUse{}, false
	}
	z, ok := specialUses[a.SOA.Owner]
	ok = ok && slices.ContainsFunc(a.Extended, func(e failure.ExtendedError) bool { return e.Text == z.reason() })
	return z, ok
}

// answerOf brings what a local zone or a special-use name says into the form of what
// servers say.
func answerOf(q answer.Question, a Data) *answer.Answer {
	f := &answer.Answer{Q: q, Sets: a.Sets, Aliases: a.Aliases, SOA: a.SOA, TTL: answer.MaxTTL, FromCache: true, Local: true}
	for _, s := range a.Sets {
		f.TTL = min(f.TTL, s.TTL)
	}
	switch {
	case len(a.Aliases) > 0:
		f.Kind, f.TTL = answer.KindAlias, min(a.Aliases[0].Set.TTL, answer.MaxTTL)
		if a.Aliases[0].TooLong {
			f.Rcode = dns.RcodeYXDomain
		}
	case len(a.Sets) > 0:
		f.Kind = answer.KindAnswer
	case a.Exists:
		f.Kind, f.TTL = answer.KindNoData, answer.NegativeTTL(a.SOA)
	default:
		f.Kind, f.Rcode, f.TTL = answer.KindNameError, dns.RcodeNameError, answer.NegativeTTL(a.SOA)
	}
	return f
}
