package failure

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/wire"
)

// causes are several errors on one line, for logs.
type causes []error

// maxCauses is how many of them are spelled out.
const maxCauses = 4

func (c causes) Error() string {
	texts := make([]string, 0, maxCauses+1)
	more := 0
	for _, err := range c {
		text := err.Error()
		switch {
		case slices.Contains(texts, text): // a server was asked more than once
		case len(texts) == maxCauses:
			more++
		default:
			texts = append(texts, text)
		}
	}
	if more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the errors.
func (c causes) Unwrap() []error { return c }

// Join returns one error for several; nil for none.
func Join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return causes(errs)
}

// Wrapped returns the errors that an error wraps.
func Wrapped(err error) []error {
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return []error{err.Unwrap()}
	case interface{ Unwrap() []error }:
		return err.Unwrap()
	}
	return nil
}

// RcodeError says that a server answered with an error.
type RcodeError struct{ Rcode int }

func (e *RcodeError) Error() string { return "answered " + RcodeName(e.Rcode) }

// ServerError is the error of one server of a zone.
type ServerError struct {
	Server netip.AddrPort
	Err    error
}

// Error names the server once, without its port where that is DNS's own: an error of the network
// names it too.
func (e *ServerError) Error() string {
	text, own := e.Err.Error(), " "+e.Server.String()+": "
	name := e.Server.Addr().String()
	if strings.Contains(text, own) {
		text = strings.Replace(text, own, ": ", 1)
		if e.Server.Port() != dnsPort {
			name = e.Server.String()
		}
	}
	return name + ": " + text
}

// dnsPort is the port of DNS over UDP and TCP (RFC 1035 §4.2).
const dnsPort = 53

// Unwrap returns the cause.
func (e *ServerError) Unwrap() error { return e.Err }

// ZoneError is why the servers of a zone sent no usable response.
type ZoneError struct {
	Zone      dnsname.Name
	Servers   []netip.AddrPort
	Down      []DownServer // that were not asked, MaxDown at most
	Responded bool         // one of them answered, if only with an error
	Err       error
}

func (e *ZoneError) Error() string { return fmt.Sprintf("zone %s: %v", e.Zone, e.Err) }

// Unwrap returns the cause.
func (e *ZoneError) Unwrap() error { return e.Err }

// EndedBy returns the error of the same query, as one that cause has ended.
func (e *ZoneError) EndedBy(cause error) *ZoneError {
	of := *e
	var p PendingError
	if before, ok := e.Err.(*PendingError); ok {
		p = *before
	}
	p.Err, of.Err = cause, &p
	return &of
}

// MaxDown is how many servers that were not asked an error names.
const MaxDown = 8

// DownServer is a server that was not asked, as it is marked down.
type DownServer struct {
	Addr   netip.AddrPort
	Lost   int           // how many queries it has not replied to, one after the other
	Silent time.Duration // how long ago its last reply came; 0: it never sent one
}

// PendingError is the end of a question, or of its caller's patience, before the servers of a zone
// had replied.
type PendingError struct {
	Servers []netip.AddrPort // that had been asked, and are still waited for
	Asked   int              // how many servers of the zone had been asked
	Known   int              // how many have addresses that are known
	LookUps bool             // addresses of servers are looked for
	For     dns.Question     // what they were asked for; zero: what the question is about
	Others  error            // what came of the others; nil: nothing
	Err     error            // why the wait has ended
}

// maxPending is how many servers the text names: a search waits for two or three, a question to all
// servers of a zone for dozens.
const maxPending = 4

func (e *PendingError) Error() string { return e.Pending() + ": " + e.Err.Error() }

// Pending returns the text without the cause.
func (e *PendingError) Pending() string {
	var b strings.Builder
	switch {
	case len(e.Servers) > 0:
		b.WriteString("no reply yet from ")
		for i, s := range e.Servers[:min(len(e.Servers), maxPending)] {
			if i > 0 {
				b.WriteString(" and ")
			}
			b.WriteString(s.String())
		}
		if more := len(e.Servers) - maxPending; more > 0 {
			fmt.Fprintf(&b, " and %d more", more)
		}
	case e.LookUps:
		b.WriteString("the addresses of its servers are not found yet")
	default:
		b.WriteString("no usable reply yet")
	}
	if e.For.Name != "" {
		fmt.Fprintf(&b, " for %s %s", e.For.Name, dns.Type(e.For.Qtype))
	}
	if e.Known > 0 {
		fmt.Fprintf(&b, " (%d of %s asked", e.Asked, CountServers(e.Known))
		if e.Others != nil {
			fmt.Fprintf(&b, "; %v", e.Others)
		}
		b.WriteString(")")
	} else if e.Others != nil {
		fmt.Fprintf(&b, " (%v)", e.Others)
	}
	return b.String()
}

// CountServers returns how many servers there are, in words.
func CountServers(n int) string {
	if n == 1 {
		return "1 server"
	}
	return strconv.Itoa(n) + " servers"
}

// Unwrap returns why the wait has ended. What came of other servers is told, and no cause.
func (e *PendingError) Unwrap() error { return e.Err }

// AliasLoopError is an ErrAliasLoop that names the aliases.
type AliasLoopError struct {
	Names []dnsname.Name // in order; the last one is the first again
}

// maxLoopNames is how many names of a loop the text has, apart from the last one.
const maxLoopNames = 3

func (e *AliasLoopError) Error() string { return ErrAliasLoop.Error() + ": " + e.Loop() }

// Loop returns the names in order. Those beyond a few are only counted, since a chain has up to a dozen.
func (e *AliasLoopError) Loop() string {
	var b strings.Builder
	round := e.Names[:len(e.Names)-1]
	for _, name := range round[:min(len(round), maxLoopNames)] {
		b.WriteString(name.String() + " -> ")
	}
	if more := len(round) - maxLoopNames; more > 0 {
		fmt.Fprintf(&b, "%d more -> ", more)
	}
	b.WriteString(round[0].String())
	return b.String()
}

// Unwrap returns ErrAliasLoop.
func (e *AliasLoopError) Unwrap() error { return ErrAliasLoop }

// BogusError is the error of a response that failed validation.
type BogusError struct {
	Zone     dnsname.Name
	Server   netip.AddrPort
	Reason   dnssec.Reason
	Err      error // a *dnssec.BogusError
	Verdict  *dnssec.Verdict
	Response *dnssec.Response
}

func (e *BogusError) Error() string { return fmt.Sprintf("zone %s: %v", e.Zone, e.Err) }

// Unwrap returns the validator's error.
func (e *BogusError) Unwrap() error { return e.Err }

// RcodeName returns a response code's mnemonic.
func RcodeName(rcode int) string { return wire.RcodeName(rcode) }

// CachedError is a failure that is not tried again yet.
type CachedError struct {
	Failure cache.Failure
	Now     time.Time // when it was met again
}

func (e *CachedError) Error() string {
	if why := e.Failure.Origin().Reason; why != "" {
		return "failed " + e.Age() + ": " + why
	}
	if e.Failure.Text == "" {
		return ErrCached.Error()
	}
	return ErrCached.Error() + ": " + e.Failure.Text
}

// Age returns in words how long ago the question failed.
func (e *CachedError) Age() string {
	if age := e.Now.Sub(e.Failure.At()).Truncate(time.Second); age > 0 {
		return age.String() + " ago"
	}
	return "less than 1s ago"
}

// Left returns for how long it is not asked again, in whole seconds, at least one.
func (e *CachedError) Left() time.Duration {
	return max(time.Second, (e.Failure.Until.Sub(e.Now) + time.Second - 1).Truncate(time.Second))
}

// reason returns the extended error that the question failed with when it was asked.
func (e *CachedError) reason() ExtendedError {
	if e.Failure.Cause == dns.ExtendedErrorCodeOther && e.Failure.Text == "" {
		return ExtendedCached // the reason is not known
	}
	return ExtendedError{e.Failure.Cause, e.Failure.Text}
}

// ExtendedCached says that a question is not asked again yet. RFC 8914 §4.14.
var ExtendedCached = ExtendedError{dns.ExtendedErrorCodeCachedError, ErrCached.Error()}

// isBogus reports whether the failure was one of validation.
func (e *CachedError) isBogus() bool { return isBogusCode(e.Failure.Cause) }

// Is reports whether target is ErrClock, and that was the cause.
func (e *CachedError) Is(target error) bool {
	return target == ErrClock && e.Failure.Clock() != nil
}

// As sets target, if that is of this type, to the *dnssec.ClockError that was the cause, as it was
// when the question failed.
func (e *CachedError) As(target any) bool {
	to, ok := target.(**dnssec.ClockError)
	if !ok {
		return false
	}
	wrong := e.Failure.Clock()
	if wrong == nil {
		return false
	}
	*to = wrong
	return true
}

// IsOfTime reports whether a failure with that extended DNS error is that signatures are not valid at
// the time: another time may be right.
func IsOfTime(code uint16) bool {
	return code == dns.ExtendedErrorCodeSignatureExpired || code == dns.ExtendedErrorCodeSignatureNotYetValid
}

// isBogusCode reports whether a failure with that extended DNS error (RFC 8914 §4) is one
// of validation: these codes are the faults that the validator found. It found none where
// the code is DNSSEC Indeterminate (§4.6, RFC 4035 §4.3): data that it needs could not be
// fetched.
func isBogusCode(code uint16) bool {
	switch code {
	case dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, dns.ExtendedErrorCodeUnsupportedDSDigestType,
		dns.ExtendedErrorCodeDNSBogus, dns.ExtendedErrorCodeSignatureExpired,
		dns.ExtendedErrorCodeSignatureNotYetValid, dns.ExtendedErrorCodeDNSKEYMissing, dns.ExtendedErrorCodeRRSIGsMissing,
		dns.ExtendedErrorCodeNoZoneKeyBitSet, dns.ExtendedErrorCodeNSECMissing,
		dns.ExtendedErrorCodeSignatureExpiredBeforeValid, dns.ExtendedErrorCodeUnsupportedNSEC3IterValue:
		return true
	}
	return false
}

// Unwrap returns ErrCached.
func (e *CachedError) Unwrap() error { return ErrCached }

// HeldError is the error of a query whose time ran out while it waited for a slot.
type HeldError struct {
	Limit *limits.Error // whose slots were all taken
	Cause error         // why the wait ended
}

func (e *HeldError) Error() string { return fmt.Sprintf("%v while waiting: %v", e.Limit, e.Cause) }

// Unwrap returns the limit first: it can be changed.
func (e *HeldError) Unwrap() []error { return []error{e.Limit, e.Cause} }

// TimeoutError is the error of a send whose own time ran out. It does not read as the end of the
// caller's context, which goes on.
type TimeoutError struct{ Err error }

func (e *TimeoutError) Error() string {
	return strings.ReplaceAll(e.Err.Error(), context.DeadlineExceeded.Error(), "timed out")
}

// Unwrap returns the error of the send.
func (e *TimeoutError) Unwrap() error { return e.Err }

// CertificateError is an ErrCertificate that says what is wrong.
type CertificateError struct {
	What string
	Err  error
}

func (e *CertificateError) Error() string { return e.What + ": " + e.Err.Error() }

func (e *CertificateError) Unwrap() []error { return []error{ErrCertificate, e.Err} }

// WrapCause wraps the cause of an error; without a cause it returns the error.
func WrapCause(what, why error) error {
	if why == nil {
		return what
	}
	return fmt.Errorf("%w: %w", what, why)
}

// FallbackError means that the root servers could not be asked, and that the fallback was of no use
// either.
type FallbackError struct {
	Cause error // why the root servers were not asked
	Err   error // of the fallback
}

func (e *FallbackError) Error() string {
	return fmt.Sprintf("fallback: %s; it was asked because: %s", e.Err, e.Cause)
}

// Unwrap returns both, that of the fallback first.
func (e *FallbackError) Unwrap() []error { return []error{e.Err, e.Cause} }
