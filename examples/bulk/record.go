package main

import (
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// status is what came of a question.
type status string

const (
	statusAnswer   status = "answer"   // records of the type asked for
	statusNoData   status = "nodata"   // the name exists, and has none
	statusNXDomain status = "nxdomain" // the name does not exist
	statusError    status = "error"    // no answer: see reason
)

// record is a line of the output: schema.json describes it.
type record struct {
	Seq       uint64           `json:"seq"`
	Input     string           `json:"input"`
	Name      string           `json:"name,omitempty"`
	Type      string           `json:"type,omitempty"`
	Duplicate bool             `json:"duplicate,omitempty"`
	Status    status           `json:"status"`
	Reason    reason           `json:"reason,omitempty"`
	Error     string           `json:"error,omitempty"`
	Rcode     string           `json:"rcode,omitempty"`
	DNSSEC    string           `json:"dnssec,omitempty"`
	TTL       *uint32          `json:"ttl,omitempty"`
	Answer    []answerRecord   `json:"answer,omitempty"`
	EDE       []extended       `json:"ede,omitempty"`
	Opinion   opinion          `json:"second_opinion,omitempty"`
	Servers   []netip.AddrPort `json:"servers,omitempty"`
	Outcomes  map[string]int   `json:"outcomes,omitempty"`
	Queries   int              `json:"queries"`
	TimeMS    float64          `json:"time_ms"`
	Attempts  int              `json:"attempts"`
}

// answerRecord is a record of an answer.
type answerRecord struct {
	Name string `json:"name"`
	TTL  uint32 `json:"ttl"`
	Type string `json:"type"`
	Data string `json:"data"`
}

// extended is an extended DNS error (RFC 8914).
type extended struct {
	Code uint16 `json:"code"`
	Name string `json:"name,omitempty"`
	Text string `json:"text,omitempty"`
}

// Package dns has texts that zone files cannot have: without them it writes TYPE0 and TYPE65535 (RFC
// 3597 section 5), in data too. In a reply to a query without TSIG the response code 16 is that of RFC
// 6891, not BADSIG.
func init() {
	delete(dns.TypeToString, dns.TypeNone)
	delete(dns.TypeToString, dns.TypeReserved)
	dns.RcodeToString[dns.RcodeBadVers] = "BADVERS"
}

// typeText returns the type of a question as the output has it; "" for lines that are none.
func typeText(q question) string {
	if q.err != nil {
		return ""
	}
	return dns.Type(q.qtype).String()
}

// newRecord returns the line of a question without what came of it.
func newRecord(q question) *record {
	return &record{Seq: q.seq, Input: q.input, Name: q.name, Type: typeText(q), Duplicate: q.duplicate}
}

// recordNotAsked returns the line of one that is no question, or is not asked.
func recordNotAsked(q question, why reason, err error) *record {
	r := newRecord(q)
	r.Status, r.Reason, r.Error = statusError, why, resolver.Printable(err.Error())
	return r
}

// setResult fills in an answer.
func (r *record) setResult(q question, result *resolver.Result, signatures bool) {
	ttl := uint32(max(0, min(result.TTL/time.Second, math.MaxInt32)))
	r.Rcode, r.DNSSEC, r.TTL = rcodeText(result.Rcode), strings.ToLower(result.Status.String()), &ttl
	r.EDE = extendedErrors(result.Extended)
	has := false
	for _, rr := range result.Answer {
		t := rr.Header().Rrtype
		has = has || t == q.qtype || q.qtype == dns.TypeANY
		if t == dns.TypeRRSIG && !signatures && q.qtype != dns.TypeRRSIG && q.qtype != dns.TypeANY {
			continue
		}
		r.Answer = append(r.Answer, newAnswerRecord(rr))
	}
	switch {
	case has:
		r.Status = statusAnswer
	case result.Rcode == dns.RcodeNameError:
		r.Status = statusNXDomain
	case result.Rcode == dns.RcodeSuccess:
		r.Status = statusNoData
	default: // YXDOMAIN: a DNAME makes the name too long
		r.Status, r.Reason, r.Error = statusError, reasonRcode, "the answer has the response code "+r.Rcode
	}
}

// setError fills in why there is no answer.
func (r *record) setError(why reason, err error) {
	r.Status, r.Reason, r.Error = statusError, why, resolver.Printable(err.Error())
	var failure *resolver.Error
	if !errors.As(err, &failure) {
		return
	}
	r.EDE = extendedErrors([]resolver.ExtendedError{failure.Extended})
	if failure.Status == dnssec.Bogus {
		r.DNSSEC = strings.ToLower(failure.Status.String())
	}
}

func extendedErrors(of []resolver.ExtendedError) []extended {
	var all []extended
	for _, e := range of {
		all = append(all, extended{Code: e.Code, Name: dns.ExtendedErrorCodeToString[e.Code], Text: resolver.Printable(e.Text)})
	}
	return all
}

func newAnswerRecord(rr dns.RR) answerRecord {
	h := rr.Header()
	a := answerRecord{Name: resolver.Printable(h.Name), TTL: h.Ttl, Type: dns.Type(h.Rrtype).String()}
	const fields = 5 // owner, TTL, class, type, data
	if text := strings.SplitN(resolver.PrintableRR(rr), "\t", fields); len(text) == fields {
		a.Data = text[fields-1]
	}
	return a
}

func rcodeText(rcode int) string {
	if text, ok := dns.RcodeToString[rcode]; ok {
		return text
	}
	return "RCODE" + strconv.Itoa(rcode)
}

// line returns the record as JSON, without the end of the line.
func (r *record) line() ([]byte, error) { return json.Marshal(r) }

// addServers adds addresses that were asked, each once.
func (r *record) addServers(servers []netip.AddrPort) {
	for _, s := range servers {
		if !slices.Contains(r.Servers, s) {
			r.Servers = append(r.Servers, s)
		}
	}
}

func (r *record) addTime(d time.Duration) {
	r.TimeMS += math.Round(float64(d)/float64(time.Microsecond)) / 1000
}
