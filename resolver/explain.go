package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/printable"
	"github.com/iterdns/iterdns/internal/stub"
)

// Explain tells a person in one paragraph what an error of this package means: what happened, with the
// servers that were asked, why, and what can be done about it. It takes the errors of all methods of
// Resolver, of New and of ParseRoute, wrapped or not. An error of another package is returned as its own
// text. The result is one printable line, and "" for nil. Its words may change; programs use errors.Is and
// errors.As.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	var told *Error
	errors.As(err, &told)
	what, remedy := explained(err, told)
	if what == "" {
		return shortened(printable.Lines(err.Error()))
	}
	sentences := []string{subjectOf(err, told) + what}
	if p := pendingOf(told); p != nil {
		sentences = append(sentences, "It ended in the zone "+told.Zone+": "+briefly(errors.New(p.Pending())))
	}
	if asked := askedOrDown(strings.Join(sentences, ". "), told); asked != "" {
		sentences = append(sentences, asked)
	}
	if told != nil && errors.Is(told.Err, ErrCached) {
		sentences = append(sentences, remembered(told.Err))
	}
	var fallback *failure.FallbackError
	if errors.As(err, &fallback) && !strings.Contains(sentences[0], "(fallback: ") { // which says so
		sentences = append(sentences, "The fallback (Options.Fallback) was of no use either: "+briefly(fallback.Err))
	}
	if errors.Is(err, ErrOnlyTCP) {
		sentences = append(sentences, "This network lets no DNS over UDP through (port 53), so that servers are asked over TCP, which not all have")
	}
	if remedy != "" {
		sentences = append(sentences, remedy)
	}
	return Printable(strings.Join(sentences, ". ") + ".")
}

// remembered says of a cached failure from when it is, and until when.
func remembered(err error) string {
	var c *failure.CachedError
	if !errors.As(err, &c) || c.Now.IsZero() {
		return "This is remembered from a moment ago; the question is not asked again for 5 s to 5 minutes"
	}
	return fmt.Sprintf("It failed %s, and is not asked again for %v", c.Age(), c.Left())
}

// subjectOf returns what was looked up, for the beginning of a sentence.
func subjectOf(err error, told *Error) string {
	var lookup *net.DNSError
	switch {
	case told != nil && told.Question.Name != "":
		return "No answer for " + nameAndType(told.Question) + ": "
	case errors.As(err, &lookup):
		if lookup.Name == "" {
			return "No answer: "
		}
		return "No answer for " + lookup.Name + ": "
	}
	return ""
}

// knownCauses are the causes that have one explanation, the most telling first.
var knownCauses = []struct {
	cause         error
	short         string // for the text of a *net.DNSError; "": the cause's own text
	what, remedy  string // for Explain
	needsItsCause bool   // what is wrapped beside it says more
}{
	{ErrClosed, "", "the resolver has been closed", "Make a new one, or close it later", false},
	{ErrAborted, "", "a function of this program that worked on the question (Dial, an Exchanger, a hook or a Trace) panicked or ended its goroutine", "Mend that function", false},
	{ErrNoDescriptors, "", "this process, or this host, has as many files and sockets open as it may", "Raise the limit (RLIMIT_NOFILE, ulimit -n), or lower Limits.Sockets", false},
	{ErrTLSRequired, "", "its servers have to be asked over TLS (Options.RequireTLS), none of them could be, and they are not asked in clear", "Check that they answer over TLS on port 853, with a certificate for the names or keys that are required", true},
	{ErrCertificate, "", "a server that is asked over TLS has a certificate that cannot be trusted", "Check the route's name behind #, and the server's certificate", true},
	{ErrRouteLoop, "", "a route (Options.Routes) leads back to this resolver, so that the question would go round for ever", "Let the route name a server that does not forward to this one", true},
	{ErrIntercepted, "port 53 is intercepted", "port 53 is intercepted: a recursive resolver in between answers in place of the root servers", forwardRemedy("that leaves DNS alone"), false},
	{ErrNoNetwork, "no network", "no network: this host sends no query, as it has no route to any root server or its own filter forbids it", "Check the network connection of this host", false},
	{ErrBlocked, "port 53 is blocked", "port 53 is blocked: no root server answers", forwardRemedy("that lets DNS through"), false},
	{ErrMetaType, "", "the type is not one of data, which servers could be asked for", "Ask for a type such as A, AAAA, MX or TXT", true},
	{ErrName, "", "it is no domain name", "A name has labels of 1 to 63 bytes between dots, and at most 255 bytes", true},
	{ErrRecordType, "", "the type parameter of Lookup does not stand for exactly one type of records", "Use a type of miekg/dns such as *dns.TLSA", true},
	{errNotAsWanted, "", "the wait for a change ended before all servers of the zone answered as wanted", "The answers that WaitFor returned say which did not: allow more time, or ask their operator", false},
	{ErrZoneDenied, "", "the zone above delegates the name to servers that deny it: they do not have the zone, or not as it should be", "Only the zone's operator can mend that, in the delegation or at the servers", false},
	{ErrOutsideZone, "", "the servers of a zone are to be asked for a name that the zone does not hold", "Let FindZone find the zone of that name", true},
	{ErrNoZone, "", "the servers of no zone are to be asked", "AskServers and WaitFor take a Zone that FindZone has returned, and that is not Local", true},
	{ErrServerNotAllowed, "", "the address is private, or its family is not used here, so that no query is sent to it", "Options.AllowServer decides which addresses may be asked", true},
	{ErrFiltered, "", "every address of the answer is private or not allowed here (Options.RebindingProtection, Options.AllowAddress)", "If the name is meant to have such addresses, add its domain to Options.PrivateDomains", false},
	{ErrHookResult, "", "a hook of this program (Options.Hooks) returned something that is no answer", "Mend that hook", true},
	{ErrAliasLoop, "", "its aliases (CNAME or DNAME) lead in a circle", "Only the operator of these zones can mend that", false},
	{ErrCircular, "", "the name servers of its zone can only be found by asking one another", "Only the operator of these zones can mend that, with glue in the zone above", false},
}

func forwardRemedy(network string) string {
	return "The way out: forward to a resolver that may be asked (a Route for \".\" in Options.Routes), or use a network " + network
}

// knownCause returns the index in knownCauses for an error; -1: there is none. Of a cached
// failure only the text is left.
func knownCause(err error, told *Error) int {
	for i := range knownCauses {
		k := &knownCauses[i]
		if errors.Is(err, k.cause) || told != nil && errors.Is(told.Err, ErrCached) && told.Extended.Text == k.cause.Error() {
			return i
		}
	}
	return -1
}

// explained says what an error means and what can be done; "": it is none of this package's.
func explained(err error, told *Error) (what, remedy string) {
	var missing *NotFoundError
	var refusal *Refusal
	var limit *LimitError
	var option *OptionError
	var root *LocalRootError
	switch {
	case told == nil && errors.As(err, &root):
		return explainLocalRoot(root)
	case errors.Is(err, dnssec.ErrNoAnchorLeft):
		return "every key that this program trusted has been revoked by its owner while it did not run, and it has seen no new one for long enough (" + briefly(err) + ")", newAnchorsRemedy
	case errors.As(err, &option):
		return option.explain()
	case errors.As(err, &missing):
		return explainMissing(missing)
	case errors.As(err, &refusal):
		return "this program's own hooks refuse it (" + refusal.extended().String() + ")", ""
	case told != nil && told.Status == dnssec.Bogus:
		return explainBogus(told)
	case errors.Is(err, context.Canceled):
		return "interrupted by the caller, before there was an answer" + whyCanceled(err, told), ""
	case told != nil && errors.As(err, &limit):
		return explainLimit(limit)
	}
	if told != nil && errors.Is(err, ErrName) {
		if what, remedy = stub.Mistake(told.Question.Name); what != "" {
			return what, remedy
		}
	}
	if i := knownCause(err, told); i >= 0 {
		k := &knownCauses[i]
		if loop, ok := errors.AsType[*failure.AliasLoopError](err); ok && k.cause == ErrAliasLoop {
			return k.what + " (" + shortened(loop.Loop()) + ")", k.remedy
		}
		if k.needsItsCause {
			return k.what + " (" + briefly(causeBehind(err, told)) + ")", k.remedy
		}
		return k.what, k.remedy
	}
	switch {
	case told != nil && isEnded(told, context.DeadlineExceeded), told == nil && errors.Is(err, context.DeadlineExceeded):
		return "the time that the caller allowed ran out before there was an answer", "A name that was not asked for before may take some seconds: allow more time. If only names of one zone fail so, its servers are down, and only their operator can mend that"
	case told != nil && (errors.Is(err, ErrNoServerAddress) || told.Extended.Text == ErrNoServerAddress.Error()):
		return inZone(told) + "no name server of the zone has an address that is known, can be looked up and may be asked (" + firstReason(told) + ")",
			"Only the zone's operator can mend that, unless its servers have private addresses: those are asked if Options.AllowServer allows it"
	case told != nil && (errors.Is(err, ErrNoReachableServer) || told.Extended.Text == ErrNoReachableServer.Error()):
		return inZone(told) + "no name server sent a usable answer (" + firstReason(told) + ")",
			"If other names can be resolved, the zone's servers are down or misconfigured, and only their operator can mend that"
	case pendingOf(told) != nil: // by a context with a cause of the program's own
		return "ended by the caller, before there was an answer (" + briefly(pendingOf(told).Err) + ")", ""
	case told != nil:
		return inZone(told) + firstReason(told), ""
	}
	return explainLookup(err)
}

// firstReason returns the text of the cause; of a failure that is remembered that of the failure
// itself.
func firstReason(told *Error) string {
	var c *failure.CachedError
	if errors.As(told.Err, &c) {
		if why := c.Failure.Origin().Reason; why != "" {
			return briefly(errors.New(why))
		}
	}
	return briefly(told.Err)
}

// explainLookup explains the errors of the methods that package net has too which no question
// led to.
func explainLookup(err error) (what, remedy string) {
	var family *net.AddrError
	var lookup *net.DNSError
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial" && dial.Addr != nil:
		return "", "" // the name was resolved
	case !errors.As(err, &lookup):
		return "", ""
	case errors.As(err, &family):
		return "it has addresses, but none of the family that was asked for", "Ask for both families (network ip, tcp or udp)"
	case lookup.IsNotFound && lookup.UnwrapErr == nil && lookup.Server == "":
		if what, remedy = stub.Mistake(lookup.Name); what != "" {
			return what, remedy
		}
		return "the domain says that it does not offer the service (RFC 2782)", ""
	}
	return lookup.Err, ""
}

func explainMissing(e *NotFoundError) (what, remedy string) {
	switch {
	case e.specialUse.Name != "":
		return "names at and below " + e.specialUse.Name.String() + " are not asked for in DNS (" + e.specialUse.RFC + "): this resolver denies them itself",
			"Where the network has a server for them, a route (Options.Routes) leads to it"
	case e.local && e.Rcode == dns.RcodeNameError:
		return "a local zone of this program (Options.LocalZones) has no such name", ""
	case e.local && e.Rcode == dns.RcodeSuccess:
		return "a local zone of this program (Options.LocalZones) has the name, but no records of the type that was asked for", ""
	}
	proof := "nothing proves that, as the zone is not signed or nothing is validated"
	if e.Status == dnssec.Secure {
		proof = "DNSSEC proves it"
	}
	kept := fmt.Sprintf("; %s, and it may be kept for %v", proof, e.TTL.Round(time.Second))
	switch e.Rcode {
	case dns.RcodeSuccess:
		return "the name exists, but has no records of the type that was asked for" + kept, ""
	case dns.RcodeNameError:
		return "the name does not exist" + kept, "Check its spelling"
	}
	return "the zone's servers answer " + failure.RcodeName(e.Rcode) + kept, ""
}

// newAnchorsRemedy is the way on from root keys that are all too old.
const newAnchorsRemedy = "Update the library, or take the keys from https://data.iana.org/root-anchors/root-anchors.xml into its trust anchors " +
	"(Options.TrustAnchors), or into its anchors file (examples/anchors -restart)"

// noRootKey is what the validator says when the root zone has none of the keys that are trusted.
var noRootKey = dnssec.Reason{Code: dnssec.ReasonDSMismatch, Name: dnsname.Root}.String()

func explainBogus(e *Error) (what, remedy string) {
	if errors.Is(e.Err, ErrClock) {
		return explainClock(e)
	}
	if e.Extended.Text == noRootKey {
		return "the root zone has none of the keys that are trusted here: the root's keys have been replaced while this program did not run, " +
			"or since the library was released, unless somebody forges answers", newAnchorsRemedy
	}
	what = "the answer failed DNSSEC validation (" + bogusReason(e) + "), so that it may be forged and is not used"
	if why, ok := strings.CutPrefix(firstReason(e), "bogus: "+bogusReason(e)+": "); ok {
		return what, "The keys that vouch for it could not be fetched (" + why + "): ask again later"
	}
	switch e.Extended.Code {
	case dns.ExtendedErrorCodeSignatureExpired, dns.ExtendedErrorCodeSignatureNotYetValid:
		return what, "Either the zone's operator has not signed it in time, or the clock of this host is wrong: " +
			"check the clock, and tell the operator"
	case dns.ExtendedErrorCodeNoReachableAuthority:
		return what, "The keys that vouch for it could not be fetched: ask again later"
	}
	return what, inPlainWords(e.Extended.Code) + "Either the zone's operator has made a mistake, or somebody forges answers: tell the operator. " +
		"For a zone that is known to be broken there is Options.NegativeTrustAnchors"
}

// explainClock explains that the clock of this host is wrong. The code tells slow from fast.
func explainClock(e *Error) (what, remedy string) {
	what = "the answer failed DNSSEC validation because the clock of this host is most likely wrong (" + bogusReason(e) + ")"
	if e.Extended.Code == dns.ExtendedErrorCodeSignatureExpired {
		what += ", unless somebody on the way gives old answers of the root zone"
	}
	return what, "Set the clock (NTP, or by hand). A program that has to work before that gives the right time as Options.SignatureTime, " +
		"which NotBefore makes of a moment that is known to have passed"
}

// inPlainWords says what a fault that the validator has found is, for people who do not know DNSSEC,
// by its extended error (RFC 8914 §4); "" where the reason says enough.
func inPlainWords(code uint16) string {
	switch code {
	case dns.ExtendedErrorCodeDNSKEYMissing:
		return "The zone's keys are not those that the zone above names (DS), as after a change of keys that it was not told of. "
	case dns.ExtendedErrorCodeRRSIGsMissing:
		return "The zone above says that the zone is signed, but the answer has no signature. "
	case dns.ExtendedErrorCodeNSECMissing:
		return "The zone is signed, but the answer has no proof of what it denies. "
	}
	return ""
}

func explainLimit(e *LimitError) (what, remedy string) {
	what = "it took more work than is allowed: " + e.Error()
	if e.Limit == "Time" {
		return what, "Its servers are slow or do not answer; Options.Limits.Time allows more"
	}
	return what, "That is a sign of a broken or hostile zone, or of too many questions at once; where it is neither, Options.Limits." + e.Limit + " allows more"
}

// whyCanceled returns the cause that the program gave to the end of its context, in parentheses; "": none.
func whyCanceled(err error, told *Error) string {
	var cause error
	if p := pendingOf(told); p != nil {
		cause = p.Err
	} else if told != nil {
		cause = told.Err
	} else if ended, ok := errors.AsType[*stub.EndedError](err); ok {
		cause = ended.Err
	} else {
		return ""
	}
	text := strings.TrimSuffix(briefly(cause), "; "+context.Canceled.Error()) // as stub.WithContext writes it
	if text == context.Canceled.Error() {
		return ""
	}
	return " (" + text + ")"
}

// inZone returns in which zone the search ended, for the beginning of a sentence.
func inZone(e *Error) string {
	if e.Zone == "" {
		return ""
	}
	return "in the zone " + e.Zone + " "
}

// causeBehind returns the error that says most about the cause.
func causeBehind(err error, told *Error) error {
	if told != nil {
		return told.Err
	}
	return err
}

// reasonOf returns in a few words why there is no answer, for the text of a *net.DNSError, with
// the servers that were asked; "" when net's own words say it.
func reasonOf(e *Error) string {
	if p := pendingOf(e); p != nil && e.Zone != "" {
		return "zone " + e.Zone + ": " + briefly(errors.New(p.Pending()))
	}
	if isEnded(e, context.DeadlineExceeded) || isEnded(e, context.Canceled) {
		return ""
	}
	asked := ""
	if len(e.Servers) > 1 { // one is the Server of the *net.DNSError
		asked = " (" + strings.ToLower(askedOrTried(e)) + " " + serverList(e.Servers) + ")"
	}
	if e.Status == dnssec.Bogus {
		return "DNSSEC bogus: " + bogusReason(e) + asked
	}
	if i := knownCause(e, e); i >= 0 && knownCauses[i].short != "" {
		return knownCauses[i].short + asked
	}
	reason := briefly(e.Err)
	if e.Zone != "" {
		reason = "zone " + e.Zone + ": " + reason
	}
	return reason
}

// bogusReason returns what the validator has found.
func bogusReason(e *Error) string {
	if e.Extended.Text != "" {
		return Printable(e.Extended.Text)
	}
	return e.Extended.String()
}

// namesAll reports whether a text names all servers as the errors of servers do.
func namesAll(text string, servers []netip.AddrPort) bool {
	return !slices.ContainsFunc(servers, func(s netip.AddrPort) bool {
		return !strings.Contains(text, " "+s.Addr().String()+": ") && !strings.Contains(text, " "+s.String()+": ") &&
			!strings.Contains(text, "from "+s.String()+" ") && !strings.Contains(text, " and "+s.String()+" ") // as a PendingError does
	})
}

// isEnded reports whether the question was ended by its context with that error.
func isEnded(e *Error, with error) bool {
	p := pendingOf(e)
	return e.Err == with || p != nil && p.Err == with
}

// askedOrDown returns which servers were asked and which were not, unless a text names all that
// were.
func askedOrDown(text string, e *Error) string {
	var parts []string
	if e == nil {
		return ""
	}
	if len(e.Servers) > 0 && !namesAll(text, e.Servers) {
		parts = append(parts, askedOrTried(e)+": "+serverList(e.Servers))
	}
	if len(e.Down) > 0 {
		parts = append(parts, "Not asked: "+serverList(e.Down))
	}
	return strings.Join(parts, ". ")
}

// askedOrTried returns what was done with the servers of an error: nothing is asked of them where
// this host cannot send.
func askedOrTried(e *Error) string {
	if errors.Is(e.Err, ErrNoNetwork) {
		return "Tried"
	}
	return "Asked"
}

// maxServersNamed is how many servers the text of an error names.
const maxServersNamed = 4

// serverList names servers.
func serverList[S fmt.Stringer](servers []S) string {
	var b strings.Builder
	for i, s := range servers {
		if i == maxServersNamed {
			fmt.Fprintf(&b, " and %d more", len(servers)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(s.String())
	}
	return b.String()
}

// maxReason is how many bytes of an error's text are shown: it may name many servers.
const maxReason = 400

// briefly returns an error's text on one line, cut where it is long.
func briefly(err error) string {
	return shortened(Printable(strings.ReplaceAll(fmt.Sprint(err), "\n", "; ")))
}

func shortened(text string) string {
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + " …"
	}
	return text
}
