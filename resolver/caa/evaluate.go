package caa

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// Reason says why issuance is permitted or denied, or that it was not decided.
type Reason uint8

// The reasons of a Decision and of a Verdict.
const (
	// ReasonLookup: a look-up failed, so that nothing is decided. It is the zero value, and
	// never that of a Decision.
	ReasonLookup Reason = iota
	// ReasonNoRecords: neither the name nor any above it has CAA records. Permitted.
	ReasonNoRecords
	// ReasonUnrestricted: the records have no property that restricts this kind of certificate
	// (RFC 8659 §4). Permitted.
	ReasonUnrestricted
	// ReasonAuthorized: a property authorizes the issuer. Permitted.
	ReasonAuthorized
	// ReasonOtherIssuer: properties restrict issuance, and none names the issuer: they name others or
	// nobody, or are malformed. Denied.
	ReasonOtherIssuer
	// ReasonConstrained: a property names the issuer, but its parameters require another account or
	// validation method, or cannot be satisfied. Denied.
	ReasonConstrained
	// ReasonCritical: a property is critical and its tag not understood. Denied.
	ReasonCritical
	// ReasonMalformed: a record does not have the form of CAA records, so its meaning is unknown. Denied.
	ReasonMalformed
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case ReasonLookup:
		return "a look-up failed"
	case ReasonNoRecords:
		return "no CAA records"
	case ReasonUnrestricted:
		return "the CAA records do not restrict such certificates"
	case ReasonAuthorized:
		return "the issuer is authorized"
	case ReasonOtherIssuer:
		return "the issuer is not among those authorized"
	case ReasonConstrained:
		return "the issuer is authorized for another account or validation method only"
	case ReasonCritical:
		return "a critical property is not understood"
	case ReasonMalformed:
		return "a CAA record is malformed"
	}
	return "unknown"
}

// Decision is what CAA records say about a request.
type Decision struct {
	Permitted bool
	Reason    Reason
	// Property is the deciding record: the one that authorizes, or that denies; the first one if several do
	// not name the issuer. Nil for ReasonNoRecords, ReasonUnrestricted and ReasonMalformed.
	Property *Property
	// Properties are all records except malformed ones.
	Properties []Property
}

// Evaluate decides by the relevant RRset of a name (RFC 8659 §3, §4), which the caller has found, for
// example in stored evidence; nil or another type means that there is none. It is not validated. It fails
// with a *NameError or ErrRequest.
func Evaluate(set *dnssec.RRset, name string, q Request) (Decision, error) {
	t, err := newTarget(name, q)
	if err != nil {
		return Decision{}, err
	}
	return t.decide(set), nil
}

// decide decides by the relevant RRset.
func (t *target) decide(set *dnssec.RRset) Decision {
	if set == nil || set.Type != dns.TypeCAA || set.Len() == 0 {
		return Decision{Permitted: true, Reason: ReasonNoRecords}
	}
	d := Decision{}
	malformed := false
	for rdata := range set.Records.All() {
		p, err := ParseProperty(rdata)
		if err != nil {
			malformed = true
			continue
		}
		d.Properties = append(d.Properties, p)
	}
	if malformed {
		d.Reason = ReasonMalformed
		return d
	}
	for i := range d.Properties {
		if p := &d.Properties[i]; p.Critical() && !t.understands(p.Tag) {
			d.Reason, d.Property = ReasonCritical, p
			return d
		}
	}
	t.authorize(&d)
	return d
}

// authorize looks for a property that authorizes; one is enough (RFC 8659 §4.2).
func (t *target) authorize(d *Decision) {
	tag := t.restricting(d.Properties)
	d.Permitted, d.Reason = true, ReasonUnrestricted
	for i := range d.Properties {
		p := &d.Properties[i]
		if p.Tag != tag {
			continue
		}
		value, err := ParseIssueValue(p.Value)
		switch {
		case err != nil || !slices.Contains(t.Issuers, value.Issuer):
			if d.Permitted {
				d.Permitted, d.Reason, d.Property = false, ReasonOtherIssuer, p
			}
		case t.satisfies(&value):
			d.Permitted, d.Reason, d.Property = true, ReasonAuthorized, p
			return
		case d.Reason != ReasonConstrained:
			d.Permitted, d.Reason, d.Property = false, ReasonConstrained, p
		}
	}
}

// restricting returns the tag of the properties that count.
func (t *target) restricting(properties []Property) string {
	switch {
	case t.Mail:
		return tagIssueMail
	case t.wildcard && slices.ContainsFunc(properties, func(p Property) bool { return p.Tag == tagIssueWild }):
		return tagIssueWild // RFC 8659 §4.3: then issue is ignored
	}
	return tagIssue
}

// satisfies reports whether the request meets a property's parameters. A parameter that is there
// twice cannot be met (RFC 8657 §3; of validationmethods it does not say so, and the strict
// reading is the safe one).
func (t *target) satisfies(v *IssueValue) bool {
	accounts, methods := v.all("accounturi"), v.all("validationmethods")
	switch {
	case len(accounts) > 1 || len(accounts) == 1 && !slices.Contains(t.Accounts, accounts[0]):
		return false
	case len(methods) > 1 || len(methods) == 1 && !t.hasMethod(methods[0]):
		return false
	case t.Parameter == nil:
		return true
	}
	for _, p := range v.Parameters {
		if p.Tag != "accounturi" && p.Tag != "validationmethods" && !t.Parameter(p.Tag, p.Value) {
			return false
		}
	}
	return true
}

// hasMethod reports whether a method of the request is in a list of labels, all of which have to
// be labels (RFC 8657 §4).
func (t *target) hasMethod(list string) bool {
	found := false
	for label := range strings.SplitSeq(list, ",") {
		if label == "" || strings.ContainsFunc(lower(label), func(c rune) bool { return c != '-' && !isAlphanumeric(c) }) {
			return false
		}
		found = found || slices.Contains(t.Methods, label)
	}
	return found
}
