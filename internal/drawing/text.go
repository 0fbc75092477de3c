package drawing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// HostText returns a name without its trailing dot.
func HostText(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// QuestionText returns the name and type that are asked for.
func QuestionText(q dns.Question) string { return q.Name + " " + dns.Type(q.Qtype).String() }

// RcodeText returns the name of a response code.
func RcodeText(rcode int) string {
	if rcode == dns.RcodeBadVers {
		return "BADVERS" // miekg/dns has the name that the number has in TSIG records
	}
	if name, ok := dns.RcodeToString[rcode]; ok {
		return name
	}
	return fmt.Sprintf("RCODE%d", rcode)
}

// ExtendedText returns an extended error in brackets, behind a space; "" for the zero value.
func ExtendedText(e resolver.ExtendedError) string {
	if e == (resolver.ExtendedError{}) {
		return ""
	}
	return " (" + e.String() + ")"
}

// ValidatedText says who vouches for what was judged: nobody but a zone's own keys.
func ValidatedText(i resolver.ValidatedInfo) string {
	if i.Status != dnssec.Secure || i.Zone == "" {
		return "validated"
	}
	return "validated by " + i.Zone
}

// AliasType returns the type of the record that makes an alias.
func AliasType(dname bool) string {
	if dname {
		return "DNAME"
	}
	return "CNAME"
}

// OverTCP says that a query went over TCP, behind a space; "" for all else.
func OverTCP(network string) string {
	if network == "tcp" {
		return " over TCP"
	}
	return ""
}

// JoinAddrs returns addresses in one line.
func JoinAddrs(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, " ")
}

// Count returns a number with its noun.
func Count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Verdict says how the question ended.
func Verdict(i resolver.DoneInfo) string {
	r := i.Result
	if r == nil {
		return "no answer"
	}
	text := RcodeText(r.Rcode)
	switch {
	case r.Rcode == dns.RcodeNameError:
		text += ": there is no such name"
	case len(data(r.Answer)) == 0:
		text += ": the name has no such records"
	default:
		text += ": " + Count(len(data(r.Answer)), "record")
	}
	if r.Status == dnssec.Indeterminate {
		return text + ", not validated"
	}
	return fmt.Sprintf("%s, %s", text, r.Status)
}

// data returns the records without the signatures over them.
func data(rrs []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
}

// Effort says what it took.
func Effort(i resolver.DoneInfo) string {
	return fmt.Sprintf("%s, %s received, %s", Count(i.Sends, "query"), Count(i.Bytes, "byte"), Millis(i.Elapsed))
}

// PassedOver reports whether a reply of this kind makes the walk turn to another
// server or way of asking.
func PassedOver(kind string) bool {
	switch kind {
	case "answer", "alias", "referral", "no data", "name error":
		return false
	}
	return true
}

// Overtaken reports whether a query was given up because another server was faster.
func Overtaken(i resolver.ResponseInfo) bool { return errors.Is(i.Err, context.Canceled) }

// Outcome says what came of a query, in a few words.
func Outcome(i resolver.ResponseInfo) string {
	switch {
	case Overtaken(i):
		return "overtaken by another server"
	case IsTimeout(i.Err):
		return fmt.Sprintf("no reply%s within %s", OverTCP(i.Network), Millis(i.RTT))
	case i.Message == nil:
		return "failed" + OverTCP(i.Network) + ": " + OneLine(fmt.Sprint(i.Err))
	}
	text := cmp.Or(i.Kind, "not accepted")
	if i.Rcode != dns.RcodeSuccess {
		text += ", " + RcodeText(i.Rcode)
	}
	if i.Err != nil {
		text += " (" + OneLine(i.Err.Error()) + ")"
	}
	return fmt.Sprintf("%s%s, %d bytes in %s", text, OverTCP(i.Network), len(i.Message), Millis(i.RTT))
}

// Millis returns a time in whole milliseconds.
func Millis(t time.Duration) string {
	return fmt.Sprintf("%d ms", t.Round(time.Millisecond).Milliseconds())
}

// IsTimeout reports whether an error is that no reply came in time.
func IsTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// Brief returns the cause that an error comes down to, without the way it took.
func Brief(err error) string {
	var limit *resolver.LimitError
	if errors.As(err, &limit) {
		return limit.Error()
	}
	for _, known := range []error{
		resolver.ErrCircular, resolver.ErrIntercepted, resolver.ErrNoNetwork, resolver.ErrBlocked, resolver.ErrCached,
		resolver.ErrNoServerAddress, resolver.ErrNoReachableServer,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return OneLine(err.Error())
}

// maxLine is how long a message may get: errors list every server that was tried.
const maxLine = 300

// OneLine makes one line of joined errors.
func OneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	text = strings.Join(lines, "; ")
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + " …"
	}
	return resolver.Printable(text)
}

// ParseType reads a type as its mnemonic, in any letter case, or as in RFC 3597 §5.
func ParseType(word string) (uint16, error) {
	upper := strings.ToUpper(word)
	if t, ok := dns.StringToType[upper]; ok {
		return t, nil
	}
	if digits, ok := strings.CutPrefix(upper, "TYPE"); ok {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return uint16(n), nil
		}
	}
	return 0, fmt.Errorf("%q is no record type; one is A, AAAA, MX, TXT or TYPE65534", word)
}

// headline says in a few words why there is no answer, for the title of a picture.
func headline(err error) string {
	var failure *resolver.Error
	if !errors.As(err, &failure) {
		return OneLine(err.Error())
	}
	cause := Brief(failure.Err)
	if failure.Status == dnssec.Bogus {
		cause = failure.Err.Error()
	}
	return OneLine("no answer for " + QuestionText(failure.Question) + ": " + cause)
}
