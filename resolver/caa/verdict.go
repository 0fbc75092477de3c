package caa

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// Outcome is the outcome of a Check. Only Permitted and, if the practice statement says so, FailedUnsigned
// allow issuance.
type Outcome uint8

// The outcomes of a Check.
const (
	// FailedHere: a look-up failed on our side, or by a limit or timeout of ours: no network, an interposed
	// resolver, the end of the context. Check again. It is the zero value.
	FailedHere Outcome = iota
	// FailedThere: a look-up failed because of the name servers, or its answer is bogus, and the
	// name is signed or was not proven unsigned. It is not permission.
	FailedThere
	// FailedUnsigned: a look-up failed because of the name servers, more than once, and the name is proven
	// to be Insecure (RFC 4035 §4.3), by evidence in Lookups. The Baseline Requirements let an authority
	// treat that as permission. CAA records of names above, if there are any, permit too.
	FailedUnsigned
	// Denied: the relevant records do not let the authority issue.
	Denied
	// Permitted: the relevant records let the authority issue, or there are none.
	Permitted
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case FailedHere:
		return "failed here"
	case FailedThere:
		return "failed there"
	case FailedUnsigned:
		return "failed, unsigned"
	case Denied:
		return "denied"
	case Permitted:
		return "permitted"
	}
	return "unknown"
}

// Verdict is the result of a Check, with everything that it rests on.
type Verdict struct {
	// Name is the name whose records were looked up first, absolute, in lower case, without the
	// label of a wildcard.
	Name     string
	Wildcard bool // the request is for *.Name
	Mail     bool // as in the Request
	Outcome  Outcome
	Reason   Reason
	// Property and Properties are as in Decision, of the records at Relevant.
	Property   *Property
	Properties []Property
	// Relevant is the name at which the relevant records were found: Name or one above it, not
	// the target of an alias. "": there are none.
	Relevant string
	// Status is the worst of all look-ups that were answered; Secure means that nobody can have left
	// anything out.
	Status dnssec.Status
	// Lookups are all look-ups in their order: the CAA records of each name on the way up, and
	// behind one that failed the DS records that prove it unsigned, unless those above have proven
	// it. They are at most dnssec.MaxStoredChains.
	Lookups []Lookup
	// Started and Ended are when the Check began and ended, by the clock of the resolver's
	// signatures.
	Started, Ended time.Time
	// IssueBefore is the time before which a Permitted certificate may be issued: Ended plus MinReuse, or
	// plus the TTL of the relevant records if that is longer. Zero unless Permitted.
	IssueBefore time.Time
	// Err is why a look-up failed, the first if several did; nil if none did. It is for errors.Is and
	// resolver.Explain.
	Err error
}

// MinReuse is how long a decision may be relied on at least, whatever the TTL: the Baseline Requirements
// say the TTL or 8 hours, whichever is greater.
const MinReuse = 8 * time.Hour

// String says in one printable line what was decided and why, for logs and applicants.
func (v *Verdict) String() string {
	name := v.Name
	if v.Wildcard {
		name = "*." + name
	}
	text := fmt.Sprintf("CAA of %s: %v: %v", name, v.Outcome, v.Reason)
	if v.Property != nil {
		text += fmt.Sprintf(": %s CAA %v", v.Relevant, v.Property)
	}
	if v.Err != nil {
		text += ": " + v.Err.Error()
	}
	return resolver.Printable(text)
}

// LogValue returns what the audit log of an authority should have: name, outcome, reason, the deciding
// record, and each look-up with its status, times and servers. It has no chains.
func (v *Verdict) LogValue() slog.Value {
	lookups := make([]string, len(v.Lookups))
	for i := range v.Lookups {
		lookups[i] = v.Lookups[i].String()
	}
	attrs := []slog.Attr{
		slog.String("name", v.Name), slog.Bool("wildcard", v.Wildcard), slog.Bool("mail", v.Mail),
		slog.String("outcome", v.Outcome.String()), slog.String("reason", v.Reason.String()),
		slog.String("relevant", v.Relevant), slog.String("status", v.Status.String()),
		slog.Time("started", v.Started), slog.Time("ended", v.Ended), slog.Any("lookups", lookups),
	}
	if v.Property != nil {
		attrs = append(attrs, slog.String("property", v.Property.String()))
	}
	if v.Err != nil {
		attrs = append(attrs, slog.String("error", resolver.Printable(v.Err.Error())))
	}
	return slog.GroupValue(attrs...)
}

// AppendEvidence appends the look-ups to dst in the form for a file: one dnssec.StoredChain each, the first
// with the Verdict's String as its note. It fails with dnssec.ErrStoredChain when an answer has more than
// dnssec.MaxStoredRecords bytes with its chain.
func (v *Verdict) AppendEvidence(dst []byte) ([]byte, error) {
	for i := range v.Lookups {
		s := v.Lookups[i].Stored()
		if i == 0 {
			s.Note = short(v.String())
		}
		var err error
		if dst, err = s.AppendBinary(dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// Lookup is one look-up of a Check.
type Lookup struct {
	// Name and Type are what was asked for: CAA, or DS for the proof that a name is unsigned.
	Name dnssec.Name
	Type uint16
	// Rcode and Status are the answer's; Status is Bogus if that is why the look-up failed.
	Rcode  int
	Status dnssec.Status
	// TTL is how long the answer may be kept.
	TTL time.Duration
	// Set are the records, also those at the end of aliases; nil: none.
	Set *dnssec.RRset
	// Attempts is how often servers were asked for it; a remembered failure is no attempt.
	Attempts int
	// FromCache is set when no server had to be asked for the answer; keys for its chain may have
	// been fetched again.
	FromCache bool
	// Started and Ended are when the look-up began and ended, retries included.
	Started, Ended time.Time
	// Servers are those asked on the way, in all zones, each listed once.
	Servers []netip.AddrPort
	// Chain is the evidence (resolver.WithChain), also of a bogus answer. Nil: there is none.
	Chain []dnssec.Link
	// Err is why there is no answer; nil if there is one.
	Err error
}

// String returns one printable line with the question and its outcome.
func (l *Lookup) String() string {
	text := fmt.Sprintf("%s %s: ", l.Name, dns.Type(l.Type))
	switch {
	case l.Err != nil:
		text += fmt.Sprintf("%v after %d attempts", l.Err, l.Attempts)
	case l.Set != nil:
		text += fmt.Sprintf("%d records, %v", l.Set.Len(), l.Status)
	default:
		text += fmt.Sprintf("%s without records, %v", dns.RcodeToString[l.Rcode], l.Status)
	}
	if l.FromCache {
		text += ", from the cache"
	}
	return resolver.Printable(fmt.Sprintf("%s, in %v, servers %v", text, l.Ended.Sub(l.Started).Round(time.Millisecond), l.Servers))
}

// Stored returns the look-up in the form for a file.
func (l *Lookup) Stored() *dnssec.StoredChain {
	s := &dnssec.StoredChain{
		Name: l.Name, Type: l.Type, Asked: l.Started, Answered: l.Ended, Servers: l.Servers, Status: l.Status, Chain: l.Chain,
	}
	if l.Err != nil {
		s.Failure = short(l.Err.Error())
	}
	return s
}

// short cuts a text to what a dnssec.StoredChain holds, between two characters.
func short(text string) string {
	text = resolver.Printable(text)
	return strings.ToValidUTF8(text[:min(len(text), dnssec.MaxStoredText)], "")
}
