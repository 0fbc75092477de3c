package upstream

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/events"
)

// queryFault is what went wrong with a query and is a reason to ask the same server in
// another form.
type queryFault uint8

const (
	faultTruncated  queryFault = iota // the reply did not fit
	faultForged                       // it was right but for the ID, or all that came were packets that are not replies
	faultCase                         // it was right but for the letter case
	faultCookie                       // it did not show the cookie of a server that has one
	faultBadCookie                    // the server wants its cookie
	faultRefused                      // FORMERR, NOTIMP or BADVERS: it may be EDNS that is refused
	faultConnection                   // the connection that was reused had been closed
	faultUnsigned                     // it came from a root server, and has no signatures
)

// queryFaults is the number of faults.
const queryFaults = int(faultUnsigned) + 1

// fallbackBounds is what rules out forms of a query.
type fallbackBounds struct {
	signed bool // the zone is known to be signed: without EDNS its answers are bogus
	folds  bool // the server has changed the letter case of questions before
	// QuestionRefused is set when the question is known to be refused, not EDNS.
	questionRefused bool
	plainRetry      bool // this is the plain retry: one send, and TCP if its reply is truncated
	noTCP           bool // TCP has been of no use for this question
}

// retry asks the server again in the form that follows from what went wrong. If there is
// none, the exchange ends with err.
func (x *exchange) retry(what queryFault, err error) (again bool, out Result) {
	if x.nextForm(what) {
		return true, Result{}
	}
	return false, Result{Server: x.to, Err: err}
}

// nextForm chooses the form of the next query, and reports whether there is one.
func (x *exchange) nextForm(what queryFault) bool {
	x.faults[what]++
	next, why, ok := x.queryForm.after(what, x.faults[what], fallbackBounds{
		signed: x.signed, folds: x.features.Folds, questionRefused: x.to.QuestionRefused, plainRetry: x.to.Plain, noTCP: x.to.UDPSpoilt,
	})
	if ok {
		x.queryForm, x.why = next, why
	}
	return ok
}

// after returns the form in which the same server is asked after something went wrong for
// the times-th time, and why. It is not ok when no other form is left.
func (f queryForm) after(what queryFault, times int, r fallbackBounds) (next queryForm, why events.Reason, ok bool) {
	if r.forbids(what, times) {
		return f, events.ReasonNone, false
	}
	switch what {
	case faultTruncated:
		return f.overTCP(ednsBare), events.ReasonTruncated, true
	case faultForged:
		return f.overTCP(ednsBare), events.ReasonSpoofed, true
	case faultCase:
		return f.afterCase(times, r), events.ReasonCase, true
	case faultCookie:
		return f.overTCP(ednsCookie), events.ReasonCookie, true // to see whether it still sends one
	case faultBadCookie:
		return f.afterBadCookie(times), events.ReasonCookie, true
	case faultRefused:
		return f.afterRefusal(r)
	case faultConnection:
		return f, events.ReasonConnection, true
	case faultUnsigned:
		return f.overTCP(ednsBare), events.ReasonNetwork, true
	}
	return f, events.ReasonNone, false
}

// forbids reports whether the server is not asked again after what went wrong.
func (r fallbackBounds) forbids(what queryFault, times int) bool {
	switch what {
	case faultTruncated, faultConnection:
		return false
	case faultForged, faultCookie:
		return r.plainRetry || r.noTCP
	case faultUnsigned:
		return r.plainRetry || r.noTCP
	case faultCase:
		return r.plainRetry || r.noTCP && times > 1
	case faultBadCookie, faultRefused:
	}
	return r.plainRetry
}

// overTCP returns the same form over TCP, with no more of EDNS than most.
func (f queryForm) overTCP(most ednsUse) queryForm {
	f.network, f.edns = "tcp", max(f.edns, most)
	return f
}

// afterCase asks again, and gives mixed letter case (0x20) up only if the server is known for
// changing it: a single reply in another letter case may be an attacker's.
func (f queryForm) afterCase(times int, r fallbackBounds) queryForm {
	switch {
	case times > 1:
		return f.overTCP(ednsBare)
	case r.folds:
		f.case0x20 = false
	}
	return f
}

// afterBadCookie asks again: the reply had the server cookie to send (RFC 7873 §5.3).
func (f queryForm) afterBadCookie(times int) queryForm {
	if times > 1 || f.network == "tcp" {
		return f.overTCP(ednsBare)
	}
	return f
}

// afterRefusal gives EDNS up, one step at a time: its option, then all of it. Each step is a
// query of its own from another port, so that an attacker who guesses one of them cannot make
// EDNS be given up. The last one has no mixed letter case either, as some servers answer that
// with such an error.
func (f queryForm) afterRefusal(r fallbackBounds) (queryForm, events.Reason, bool) {
	switch {
	case r.questionRefused:
		return f, events.ReasonNone, false
	case f.edns == ednsCookie:
		f.edns = ednsBare
		return f, events.ReasonNoOption, true
	case f.edns == ednsBare && !r.signed:
		f.edns, f.case0x20 = ednsNone, false
		return f, events.ReasonNoEDNS, true
	}
	return f, events.ReasonNone, false
}

// refusesEDNS reports whether servers answer with this response code that do not know EDNS
// (RFC 6891 §7), its version, or an option that they should ignore (§6.1.2).
func refusesEDNS(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}

// plainMayHelp reports whether the form of the queries may be why no good reply came. An
// error is not due to it if the server has accepted the full form a moment ago, unless it is
// an error by which servers refuse EDNS: mixed letter case has not been left out yet then. A
// reply right but for the ID is a guess, and the next guess must not become easier. An error
// of a forwarder is mostly about the name, and where forwarders ask each other in a loop
// each further query would double.
func (x *exchange) plainMayHelp(out Result) bool {
	switch {
	case out.isGood() || x.udpSpoilt || x.to.UDPSpoilt:
		return false
	case x.refusedAllForms(out):
		return !x.Cut.Source.Forwards()
	case out.Reply != nil:
		return !acceptsForm(out.Reply.Rcode) && !x.features.Full && !x.Cut.Source.Forwards()
	}
	return out.TimedOut || x.faults[faultCase]+x.faults[faultCookie] > 0
}

// refusedAllForms reports whether the server refused EDNS, and said nothing of use without
// it.
func (x *exchange) refusedAllForms(out Result) bool {
	return x.faults[faultRefused] > 0 && x.accepted != nil && !out.isGood()
}

// acceptsForm reports whether a response code shows that the form of the query was accepted.
func acceptsForm(rcode int) bool {
	return rcode == dns.RcodeSuccess || rcode == dns.RcodeNameError || rcode == dns.RcodeYXDomain
}
