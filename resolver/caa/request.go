package caa

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// Request says who wants to issue, and how.
type Request struct {
	// Issuers are the issuer domain names by which the authority knows itself, as its practice
	// statement lists them. At least one is required; letter case does not count.
	Issuers []string
	// Accounts are the URIs of the account that asks for the certificate, compared byte by byte
	// with the accounturi of a record (RFC 8657 §3). Nil: no record with an accounturi
	// authorizes.
	Accounts []string
	// Methods are the labels of the validation method in use, such as "dns-01", "http-01" or, as in the
	// Baseline Requirements, "ca-tbr-7"; one match is enough. They are compared byte by byte with the
	// validationmethods of a record (RFC 8657 §4). Nil: no record with validationmethods authorizes.
	Methods []string
	// Mail is set for a certificate for email addresses: issuemail properties count, and no
	// others (RFC 9495).
	Mail bool
	// Parameter judges a parameter other than accounturi and validationmethods of a property that names one
	// of Issuers: if it returns false, the property does not authorize. The tag is in lower case. Nil: such
	// parameters do not restrict, as their meaning is the issuer's own (RFC 8659 §4.2).
	Parameter func(tag, value string) bool
	// Tags are property tags that the caller understands and enforces itself, in addition to issue,
	// issuewild, issuemail, iodef, contactemail and contactphone: critical properties with them do not
	// deny.
	Tags []string
	// Time is how long a Check may take, retries included. Zero: DefaultTime. Negative: as long
	// as ctx.
	Time time.Duration
	// RetryWait is how long after a failure a look-up is tried again. Zero: DefaultRetryWait.
	// Negative: there is no retry, so FailedUnsigned does not occur.
	RetryWait time.Duration
}

const (
	// DefaultTime is how long a Check may take. A failed look-up takes up to 10 s
	// (resolver.Limits.Time), and is made twice; a name has 4 labels.
	DefaultTime = 2 * time.Minute
	// DefaultRetryWait is a second longer than a resolver remembers a first failure (RFC 9520),
	// so that the retry asks the servers.
	DefaultRetryWait = 6 * time.Second
)

// ErrRequest says that a Request has no issuer, or one that is no domain name.
var ErrRequest = errors.New("request that cannot be checked")

// NameReason says why CAA says nothing about a name.
type NameReason uint8

// The reasons of a NameError.
const (
	// NameMalformed: it is no domain name, or has characters that are not allowed in a certificate.
	// It is the zero value.
	NameMalformed NameReason = iota
	// NameAddress: an IP address. CAA is about domain names only.
	NameAddress
	// NameOnion: below onion, where CAA records are not in the DNS but in the service's
	// descriptor (RFC 9799 §4).
	NameOnion
	// NameUnicode: it has U-labels. Certificates have A-labels, to which the caller has to convert them
	// (RFC 5891).
	NameUnicode
	// NameSpecialUse: the resolver answers it itself and asks no server, such as localhost.
	NameSpecialUse
	// NameRoot: the root has no CAA.
	NameRoot
)

// String returns the reason in words.
func (r NameReason) String() string {
	switch r {
	case NameMalformed:
		return "not a domain name for certificates"
	case NameAddress:
		return "an IP address"
	case NameOnion:
		return "an onion name, whose CAA records are not in the DNS"
	case NameUnicode:
		return "a name with U-labels: A-labels are needed"
	case NameSpecialUse:
		return "a special-use name, which no server is asked for"
	case NameRoot:
		return "the root"
	}
	return "unknown"
}

// NameError says that CAA records cannot be looked up for a name.
type NameError struct {
	Name   string
	Reason NameReason
}

// Error names the name and the reason.
func (e *NameError) Error() string {
	return resolver.Printable(fmt.Sprintf("%q: %v", e.Name, e.Reason))
}

// target is a name and a request, checked.
type target struct {
	Request
	name     dnssec.Name // without the wildcard label
	wildcard bool
}

// newTarget checks name and request.
func newTarget(text string, q Request) (*target, error) {
	t := &target{Request: q}
	if len(q.Issuers) == 0 {
		return nil, fmt.Errorf("%w: no issuer", ErrRequest)
	}
	t.Issuers = nil
	for _, issuer := range q.Issuers {
		issuer = strings.TrimSuffix(lower(issuer), ".")
		if !isIssuer(issuer) {
			return nil, fmt.Errorf("%w: issuer %q", ErrRequest, issuer)
		}
		t.Issuers = append(t.Issuers, issuer)
	}
	t.Tags = nil
	for _, tag := range q.Tags {
		t.Tags = append(t.Tags, lower(tag))
	}
	domain := text
	if at := strings.LastIndexByte(text, '@'); q.Mail && at >= 0 {
		domain = text[at+1:]
	}
	var reason NameReason
	var ok bool
	if t.name, reason, ok = parseName(domain); !ok {
		return nil, &NameError{text, reason}
	}
	if t.wildcard = t.name.IsWildcard(); t.wildcard {
		t.name = t.name.Parent()
	}
	if t.name.IsRoot() || q.Mail && t.wildcard {
		return nil, &NameError{text, NameMalformed}
	}
	return t, nil
}

// parseName reads a name that may begin with a wildcard label.
func parseName(text string) (name dnssec.Name, reason NameReason, ok bool) {
	if strings.ContainsFunc(text, func(c rune) bool { return c >= 0x80 }) {
		return "", NameUnicode, false
	}
	if _, err := netip.ParseAddr(strings.Trim(strings.TrimSuffix(text, "."), "[]")); err == nil {
		return "", NameAddress, false
	}
	if strings.Contains(text, `\`) {
		return "", NameMalformed, false
	}
	name, err := dnssec.ParseName(text)
	switch {
	case err != nil:
		return "", NameMalformed, false
	case name.IsRoot():
		return "", NameRoot, false
	case name.Ancestor(1).Label() == "onion":
		return "", NameOnion, false
	}
	plain := name
	if plain.IsWildcard() {
		plain = plain.Parent()
	}
	for ; !plain.IsRoot(); plain = plain.Parent() {
		if strings.ContainsFunc(plain.Label(), func(c rune) bool { return c != '-' && c != '_' && !isAlphanumeric(c) }) {
			return "", NameMalformed, false
		}
	}
	return name, 0, true
}

// understands reports whether a property with the tag may be critical.
func (t *target) understands(tag string) bool {
	switch tag {
	case tagIssue, tagIssueWild, tagIssueMail, tagIodef, tagContactEmail, tagContactPhone:
		return true
	}
	return slices.Contains(t.Tags, tag)
}
