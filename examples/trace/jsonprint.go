package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// event is one line of -json. Event says which hook of resolver.Trace it is: joined,
// cache, start, query, response, referral, server-lookup, alias, validated or done; with
// -dnssec there follow trust, one for each zone of the chain of trust, and verdict.
// Fields that an event does not have, and those that are empty, are left out. Names
// are absolute, times are in milliseconds, records are in zone-file syntax.
type event struct {
	Event string  `json:"event"`
	At    float64 `json:"at_ms"` // since the first event

	Walk   int    `json:"walk"`             // the search this belongs to, from 1
	Parent int    `json:"parent,omitempty"` // the walk that waits for it
	Name   string `json:"name"`             // what the walk searches
	Type   string `json:"type"`

	// Of joined, start, query, response, server-lookup and validated: the zone asked;
	// of referral: where it leads.
	Zone    string      `json:"zone,omitempty"`
	From    string      `json:"from,omitempty"`    // alias: the name; referral: the zone that refers
	To      string      `json:"to,omitempty"`      // alias: its target
	DNAME   bool        `json:"dname,omitempty"`   // alias: by a DNAME
	Hints   bool        `json:"hints,omitempty"`   // start: at the root hints
	Servers []nameserve `json:"servers,omitempty"` // start, referral
	DS      []string    `json:"ds,omitempty"`      // referral: records; trust: tag, algorithm and digest

	// Of query and response.
	ID         int     `json:"id,omitempty"` // the same in both
	Server     string  `json:"server,omitempty"`
	ServerName string  `json:"server_name,omitempty"` // also of server-lookup
	Network    string  `json:"network,omitempty"`
	Asked      string  `json:"asked,omitempty"` // query: name and type
	Minimised  bool    `json:"minimised,omitempty"`
	Reason     string  `json:"reason,omitempty"`
	Kind       string  `json:"kind,omitempty"` // response: answer, alias, referral, …
	Rcode      string  `json:"rcode,omitempty"`
	RTT        float64 `json:"rtt_ms,omitempty"`
	Bytes      int     `json:"bytes,omitempty"` // response: of the message; done: of all

	// Of response: the sections. Of done: answer and authority of the result.
	Answer     []string `json:"answer,omitempty"`
	Authority  []string `json:"authority,omitempty"`
	Additional []string `json:"additional,omitempty"`

	// Of cache.
	Hit      *bool `json:"hit,omitempty"`
	Negative bool  `json:"negative,omitempty"`
	Failure  bool  `json:"failure,omitempty"`
	Alias    bool  `json:"alias,omitempty"`

	Addrs    []netip.Addr `json:"addrs,omitempty"`    // server-lookup: found
	Finished *bool        `json:"finished,omitempty"` // server-lookup
	Status   string       `json:"status,omitempty"`   // cache, validated, done
	Extended string       `json:"extended,omitempty"` // validated: why it is not secure
	TTL      float64      `json:"ttl_s,omitempty"`    // cache, done
	Sends    int          `json:"sends,omitempty"`    // done: queries sent
	Error    string       `json:"error,omitempty"`    // response, server-lookup, done

	// Of trust: what vouches for the zone's keys, or denies that there is a DS.
	Anchors []uint16   `json:"anchors,omitempty"` // tags
	Denial  []string   `json:"denial,omitempty"`
	Keys    []keyEvent `json:"keys,omitempty"`
	Sets    []setEvent `json:"sets,omitempty"` // of the answer
}

// keyEvent is a DNSKEY record of a zone.
type keyEvent struct {
	Tag       uint16 `json:"tag"`
	Algorithm uint8  `json:"algorithm"`
	Mnemonic  string `json:"mnemonic"`
	SEP       bool   `json:"sep,omitempty"`
	Trusted   bool   `json:"trusted,omitempty"`    // by a DS or a trust anchor
	SignsKeys bool   `json:"signs_keys,omitempty"` // the DNSKEY RRset
}

// setEvent is an RRset of the answer or its proof.
type setEvent struct {
	RRset    string   `json:"rrset"` // owner and type
	Status   string   `json:"status"`
	SignedBy []uint16 `json:"signed_by,omitempty"` // tags
	Note     string   `json:"note,omitempty"`
}

// nameserve is one name server of a delegation, with its glue.
type nameserve struct {
	Name  string       `json:"name"`
	Addrs []netip.Addr `json:"addrs,omitempty"`
}

// newJSONPrinter makes hooks that write one event a line.
func newJSONPrinter(w io.Writer) *jsonPrinter {
	p := &jsonPrinter{encoder: json.NewEncoder(jsonWriter{w})}
	p.encoder.SetEscapeHTML(false)
	return p
}

// jsonWriter escapes what a terminal may obey and package encoding/json leaves as it is: it
// can only stand inside strings. Values are written in one piece.
type jsonWriter struct{ w io.Writer }

func (j jsonWriter) Write(b []byte) (int, error) {
	var text strings.Builder
	for _, r := range string(b) {
		switch {
		case unicode.IsPrint(r) || r == '\n':
			text.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&text, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&text, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(j.w, text.String())
	return len(b), err
}

func (p *jsonPrinter) trace() *resolver.Trace {
	return &resolver.Trace{
		Joined:       func(i resolver.JoinedInfo) { p.put("joined", i.Step, event{Zone: i.Zone}) },
		Cache:        p.cache,
		Start:        p.start,
		Query:        p.query,
		Response:     p.response,
		Referral:     p.referral,
		ServerLookup: p.lookup,
		Alias: func(i resolver.AliasInfo) {
			p.put("alias", i.Step, event{From: i.From, To: i.To, DNAME: i.DNAME})
		},
		Validated: func(i resolver.ValidatedInfo) {
			e := event{Zone: i.Zone, Status: i.Status.String()}
			if i.Extended != (resolver.ExtendedError{}) {
				e.Extended = i.Extended.String()
			}
			p.put("validated", i.Step, e)
		},
		Done: p.done,
	}
}

type jsonPrinter struct {
	encoder *json.Encoder
	began   time.Time
	last    resolver.Step // of the event written last
}

// put fills in what all events have, and writes the line. Nothing in an event can
// fail to be encoded; whether it could be written is the writer's to say.
func (p *jsonPrinter) put(kind string, s resolver.Step, e event) {
	if p.began.IsZero() {
		p.began = s.At
	}
	p.last = s
	e.Event, e.At = kind, inMillis(s.At.Sub(p.began))
	e.Walk, e.Parent = s.Walk, s.Parent
	e.Name, e.Type = s.Question.Name, dns.Type(s.Question.Qtype).String()
	p.encoder.Encode(e)
}

func (p *jsonPrinter) cache(i resolver.CacheInfo) {
	e := event{Hit: &i.Hit, Negative: i.Negative, Failure: i.Failure, Alias: i.Alias, TTL: i.TTL.Seconds()}
	if i.Hit && !i.Failure {
		e.Status = i.Status.String()
	}
	p.put("cache", i.Step, e)
}

func (p *jsonPrinter) start(i resolver.StartInfo) {
	p.put("start", i.Step, event{Zone: i.Cut.Zone.String(), Hints: i.Hints, Servers: nameservers(i.Cut)})
}

func (p *jsonPrinter) query(i resolver.QueryInfo) {
	p.put("query", i.Step, event{
		ID: i.ID, Zone: i.Zone, Server: i.Server.String(), ServerName: i.ServerName, Network: i.Network,
		Asked: drawing.QuestionText(i.Asked), Minimised: i.Minimised, Reason: string(i.Reason),
	})
}

func (p *jsonPrinter) response(i resolver.ResponseInfo) {
	e := event{
		ID: i.ID, Zone: i.Zone, Server: i.Server.String(), ServerName: i.ServerName, Network: i.Network,
		Kind: i.Kind, RTT: inMillis(i.RTT), Bytes: len(i.Message), Error: errorText(i.Err),
	}
	if m, err := unpack(i.Message); err == nil {
		e.Rcode = drawing.RcodeText(i.Rcode)
		e.Answer, e.Authority, e.Additional = recordTexts(m.answer), recordTexts(m.authority), recordTexts(m.additional)
	}
	p.put("response", i.Step, e)
}

func (p *jsonPrinter) referral(i resolver.ReferralInfo) {
	p.put("referral", i.Step, event{
		From: i.From, Zone: i.Cut.Zone.String(), Servers: nameservers(i.Cut), DS: recordTexts(i.DS),
	})
}

func (p *jsonPrinter) lookup(i resolver.ServerLookupInfo) {
	p.put("server-lookup", i.Step, event{
		Zone: i.Zone, ServerName: i.Server, Finished: &i.Done, Addrs: i.Addrs, Error: errorText(i.Err),
	})
}

func (p *jsonPrinter) done(i resolver.DoneInfo) {
	e := event{Sends: i.Sends, Bytes: i.Bytes, Error: errorText(i.Err)}
	if r := i.Result; r != nil {
		e.Rcode, e.Status, e.TTL = drawing.RcodeText(r.Rcode), r.Status.String(), r.TTL.Seconds()
		e.Answer, e.Authority = recordTexts(r.Answer), recordTexts(r.Authority)
	}
	p.put("done", i.Step, e)
}

func nameservers(cut *glue.Delegation) []nameserve {
	servers := make([]nameserve, len(cut.Servers))
	for i, s := range cut.Servers {
		servers[i] = nameserve{Name: s.Name.String(), Addrs: s.Addrs}
	}
	return servers
}

// recordTexts returns the records of a section. OPT is no data.
func recordTexts(rrs []dns.RR) []string {
	var texts []string
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			texts = append(texts, rr.String())
		}
	}
	return texts
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
