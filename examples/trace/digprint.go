package main

import (
	"fmt"
	"io"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// digPrinter prints a walk as dig does: the records of each reply, and below them who
// sent it. What it knows besides is in lines that begin with ";;".
type digPrinter struct {
	w          io.Writer
	additional bool

	asked map[int]resolver.QueryInfo    // by the query's number
	held  map[int]resolver.ResponseInfo // referrals that wait to hear which glue is used, by walk
	names map[int]dns.Question          // what each walk began to search
	about string                        // what the last lines were for, see subject
	notes bool                          // the last line was a note
}

func newDigPrinter(w io.Writer, additional bool) *digPrinter {
	return &digPrinter{
		w: resolver.PrintableWriter(w), additional: additional,
		asked: make(map[int]resolver.QueryInfo),
		held:  make(map[int]resolver.ResponseInfo),
		names: make(map[int]dns.Question),
	}
}

func (d *digPrinter) header(question, title string) {
	fmt.Fprintf(d.w, "; <<>> iterdns trace <<>> %s\n", question)
	if title != "" {
		fmt.Fprintf(d.w, ";; mock Internet of %s, on loopback sockets\n", title)
	}
}

func (d *digPrinter) trace() *resolver.Trace {
	return &resolver.Trace{
		Start:        d.start,
		Query:        func(i resolver.QueryInfo) { d.asked[i.ID] = i },
		Response:     d.response,
		Referral:     d.referral,
		ServerLookup: d.lookup,
		Alias:        d.alias,
		Validated:    d.validated,
		Done:         d.done,
	}
}

// start prints where the question's own walk begins: dig asks a resolver for the root
// servers, we have them from the hints.
func (d *digPrinter) start(i resolver.StartInfo) {
	if _, ok := d.names[i.Walk]; !ok {
		d.names[i.Walk] = i.Question
	}
	if d.about == "" {
		d.about = subject(i.Question)
	}
	switch {
	case i.Walk == 1 && i.Hints:
		d.block()
		d.cut(i.Cut)
		fmt.Fprintf(d.w, ";; %s of the root hints\n", drawing.Count(len(i.Cut.Servers), "server"))
	case i.Walk == 1:
		d.note("%s begins at %s, which is known", drawing.QuestionText(i.Question), i.Cut.Zone)
	}
}

// block begins the records of a step.
func (d *digPrinter) block() {
	fmt.Fprintln(d.w)
	d.notes = false
}

// note prints a line that dig does not have.
func (d *digPrinter) note(format string, args ...any) {
	if !d.notes {
		d.block()
	}
	fmt.Fprintf(d.w, ";; "+format+"\n", args...)
	d.notes = true
}

func (d *digPrinter) response(i resolver.ResponseInfo) {
	switch {
	case d.forValidation(i):
		d.validation(i)
	case i.Kind == "referral" && i.Err == nil:
		d.held[i.Walk] = i
	case i.Message == nil && drawing.Overtaken(i):
		// A server that was too late to be heard: dig would not have asked it.
	case i.Message == nil || i.Err != nil || drawing.PassedOver(i.Kind):
		d.useless(i)
	default:
		d.step(i, nil)
	}
}

// referral prints the referral that was held.
func (d *digPrinter) referral(i resolver.ReferralInfo) {
	if held, ok := d.held[i.Walk]; ok {
		delete(d.held, i.Walk)
		d.step(held, i.Cut)
	}
}

// step prints a reply of use. Of a referral, cut is what the resolver made of it.
func (d *digPrinter) step(i resolver.ResponseInfo, cut *glue.Delegation) {
	d.turnTo(i.Walk)
	d.block()
	if q := d.asked[i.ID]; q.Minimised && cut == nil {
		fmt.Fprintf(d.w, ";; asked for %s on the way (RFC 9156)\n", drawing.QuestionText(q.Asked))
	}
	d.records(i.Message, cut)
	fmt.Fprintf(d.w, ";; Received %d bytes from %s in %s%s\n", len(i.Message), server(i.Server, i.ServerName), drawing.Millis(i.RTT), drawing.OverTCP(d.asked[i.ID].Network))
}

// useless prints a query that brought nothing: the walk goes on with another server,
// or asks this one in another way.
func (d *digPrinter) useless(i resolver.ResponseInfo) {
	d.turnTo(i.Walk)
	i.Network = d.asked[i.ID].Network
	d.note("%s: %s", server(i.Server, i.ServerName), drawing.Outcome(i))
}

// forValidation reports whether a response belongs to a search for keys, which goes on
// beside the walk.
func (d *digPrinter) forValidation(i resolver.ResponseInfo) bool {
	rrtype := d.names[i.Walk].Qtype
	return i.Parent != 0 && (rrtype == dns.TypeDNSKEY || rrtype == dns.TypeDS)
}

func (d *digPrinter) validation(i resolver.ResponseInfo) {
	if i.Message == nil && drawing.Overtaken(i) {
		return
	}
	i.Network = d.asked[i.ID].Network
	d.note("for validation: %s from %s: %s", drawing.QuestionText(d.asked[i.ID].Asked), server(i.Server, i.ServerName), drawing.Outcome(i))
}

// turnTo says which question the next lines belong to, when it is another than that of
// the lines above.
func (d *digPrinter) turnTo(walk int) {
	q := d.names[walk]
	switch {
	case subject(q) == d.about:
	case walk == 1:
		d.note("back to %s", drawing.QuestionText(q))
	default:
		d.note("on the way: %s", subject(q))
	}
	d.about = subject(q)
}

// subject says what a walk is for. Both types of addresses of a name server are
// wanted for one purpose.
func subject(q dns.Question) string {
	if q.Qtype == dns.TypeA || q.Qtype == dns.TypeAAAA {
		return "the address of " + q.Name
	}
	return drawing.QuestionText(q)
}

func (d *digPrinter) lookup(i resolver.ServerLookupInfo) {
	switch {
	case !i.Done:
		d.note("to find the address of %s, which serves %s", i.Server, i.Zone)
		d.about = subject(dns.Question{Name: i.Server, Qtype: dns.TypeA})
	case i.Err != nil:
		d.note("no address of %s: %s", i.Server, drawing.Brief(i.Err))
	case len(i.Addrs) > 0:
		d.note("%s is at %s", i.Server, drawing.JoinAddrs(i.Addrs))
	}
}

// alias makes the walk be about the alias's target.
func (d *digPrinter) alias(i resolver.AliasInfo) {
	d.turnTo(i.Walk)
	d.note("%s is an alias (%s) of %s: again from the beginning, for that", i.From, drawing.AliasType(i.DNAME), i.To)
	next := i.Question
	next.Name = i.To
	d.names[i.Walk] = next
	d.about = subject(next)
}

func (d *digPrinter) validated(i resolver.ValidatedInfo) {
	d.note("%s: %s%s", drawing.ValidatedText(i), i.Status, drawing.ExtendedText(i.Extended))
}

func (d *digPrinter) done(i resolver.DoneInfo) {
	d.note("%s; %s", drawing.Verdict(i), drawing.Effort(i))
}
