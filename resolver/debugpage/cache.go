package debugpage

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// cached is the content of the pages of the cache and of delegations.
type cached struct {
	paging
	Asked   string // the name, as asked for
	Exactly bool   // and not the names below it
	Kind    string // as asked for
	Kinds   []kindMeaning
	Ask     bool
	Wrong   string // what is wrong with Asked
	Views   bool   // there are entries of more than one view
	Lines   []cacheLine
	Others  int            // entries of kinds that the page does not show
	Terms   []drawing.Term // words of the lines that need a meaning
}

type cacheLine struct {
	Name, Kind, Type, TTL, Status string
	View                          string
	Meaning                       string // of Status
	Data                          []string
	Failed                        bool
}

// kindMeaning is a kind of entry, and what it is.
type kindMeaning struct {
	kind    cache.Kind
	Meaning string
}

// Name returns the name of the kind.
func (k kindMeaning) Name() string { return k.kind.String() }

// cacheKinds are the kinds that the page of the cache shows; the others are bookkeeping, or, as
// delegations, have a page of their own.
var cacheKinds = []kindMeaning{
	{cache.KindRRset, "records of one name and type"},
	{cache.KindNoData, "the name exists, and has no records of the type"},
	{cache.KindNameError, "the name does not exist"},
	{cache.KindChain, "an answer of several parts: aliases and what they lead to, or what a wildcard stands for"},
	{cache.KindFailure, "the question failed; what is left is the time until it is tried again"},
	{cache.KindWildcard, "the records of a wildcard, which answer for names below it"},
	{cache.KindRange, "a record that denies all names and types in a range"},
}

var delegationKinds = []kindMeaning{{cache.KindCut, "a zone with its servers, as the zone above names them"}}

func (p *Page) cache(r *http.Request, delegations bool) (*cached, error) {
	query := r.URL.Query()
	c := &cached{Ask: p.options.Ask, Asked: query.Get("name"), Exactly: query.Get("exactly") != "", Kind: query.Get("kind")}
	wanted := cacheKinds
	if delegations {
		wanted = delegationKinds
	}
	c.Kinds = wanted
	if i := slices.IndexFunc(wanted, func(k kindMeaning) bool { return k.Name() == c.Kind }); i >= 0 {
		wanted = wanted[i : i+1]
	}
	at, err := parseName(cmp.Or(strings.TrimSpace(c.Asked), "."))
	switch {
	case errors.Is(err, errBlank):
		c.Wrong = blankText
		return c, nil
	case err != nil:
		c.Wrong = "That is no domain name: " + resolver.Printable(err.Error()) + "."
		return c, nil
	}
	free, err := p.slot(r.Context(), p.looking)
	if err != nil {
		return nil, err
	}
	defer free()
	c.fill(r, p.resolver.Options(), at, wanted)
	return c, nil
}

// fill looks through the cache for entries at a name, and below it unless exactly that is meant.
func (c *cached) fill(r *http.Request, o resolver.Options, at dnssec.Name, wanted []kindMeaning) {
	now := o.Now()
	views := make(map[[32]byte]bool)
	found := firsts[cache.Entry]{n: (pageOf(r) + 1) * perPage, order: byName}
	o.Cache.Walk(now, func(e cache.Entry) bool {
		if !isShown(e.Kind) {
			c.Others++
		}
		isWanted := slices.ContainsFunc(wanted, func(k kindMeaning) bool { return k.kind == e.Kind })
		if isWanted && (e.Name == at || !c.Exactly && e.Name.IsBelow(at)) {
			found.add(e)
			if len(views) < 2 {
				views[e.View] = true
			}
		}
		return r.Context().Err() == nil
	})
	found.cut()
	var from, to int
	c.paging, from, to = turn(r, found.total)
	c.Views = len(views) > 1
	for _, e := range found.kept[min(from, len(found.kept)):min(to, len(found.kept))] {
		line := cacheLineOf(now, e)
		if e.Kind == cache.KindChain {
			line.Data = aliasText(o.Cache.View(e.View).Uncounted(), now, e)
		}
		c.Lines = append(c.Lines, line)
	}
	for _, status := range []dnssec.Status{dnssec.Indeterminate, dnssec.Insecure} {
		if slices.ContainsFunc(c.Lines, func(l cacheLine) bool { return l.Status == status.String() }) {
			c.Terms = append(c.Terms, drawing.Term{Word: status.String(), Meaning: statusMeanings[status]})
		}
	}
}

// isShown reports whether the page of the cache shows a kind.
func isShown(kind cache.Kind) bool {
	return slices.ContainsFunc(cacheKinds, func(k kindMeaning) bool { return k.kind == kind })
}

// statusMeanings say what the status of an entry means, where its word alone may worry a reader.
var statusMeanings = map[dnssec.Status]string{
	dnssec.Secure:        "signed, up to a trust anchor",
	dnssec.Insecure:      "proven not to be signed",
	dnssec.Bogus:         "validation failed",
	dnssec.Indeterminate: "not validated itself, as keys and DS records are not that are kept to validate others; no fault",
}

// aliasText says where the aliases of a chain lead.
func aliasText(v *cache.View, now time.Time, e cache.Entry) []string {
	chain, ok := v.GetChain(now, e.Name, e.Type, e.Trust)
	if !ok {
		if chain, ok = v.GetBrief(now, e.Name, e.Type, e.Trust); !ok {
			return nil // it has expired, or gone meanwhile
		}
	}
	var rrs []dns.RR
	for _, set := range chain.Answer {
		rrs, _ = set.AppendRRs(rrs, 0, false) // what is malformed is left out
	}
	var lines []string
	if path := drawing.AliasPath(e.Name.String(), ".", rrs); path != "" {
		lines = append(lines, shorten("alias to "+path))
	}
	for _, set := range chain.Answer {
		if set.Type == e.Type && e.Type != dns.TypeCNAME && e.Type != dns.TypeDNAME {
			for _, data := range drawing.DataOf(set) {
				lines = append(lines, shorten(dns.Type(set.Type).String()+" "+data))
			}
		}
	}
	if chain.Rcode != dns.RcodeSuccess {
		lines = append(lines, drawing.RcodeText(chain.Rcode)+" there")
	}
	return lines
}

func byName(a, b cache.Entry) int {
	return cmp.Or(dnsname.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Type, b.Type),
		cmp.Compare(a.Trust, b.Trust), slices.Compare(a.View[:], b.View[:]))
}

// cacheLineOf says what an entry holds.
func cacheLineOf(now time.Time, e cache.Entry) cacheLine {
	line := cacheLine{Name: e.Name.String(), Kind: e.Kind.String(), View: fmt.Sprintf("%x", e.View[:3]), TTL: span(time.Duration(e.TTL) * time.Second)}
	line.Meaning = statusMeanings[e.Status]
	if e.TTL == 0 {
		line.TTL = "expired"
	}
	if e.Type != 0 {
		line.Type = dns.Type(e.Type).String()
	}
	switch e.Kind {
	case cache.KindRRset, cache.KindWildcard, cache.KindRange:
		line.Data, line.Status = drawing.DataOf(&e.Set), e.Status.String()
	case cache.KindNoData, cache.KindNameError, cache.KindChain:
		line.Status = e.Status.String()
	case cache.KindFailure:
		line.Failed, line.Data = true, failureText(now, e.Failure)
		line.TTL = "–"
		if left := e.Failure.Until.Sub(now); left > 0 {
			line.TTL = span(left)
		}
	case cache.KindCut:
		line.Data = delegationText(e)
	case cache.KindGlue, cache.KindClaim, cache.KindTypes:
	}
	for i, text := range line.Data {
		line.Data[i] = shorten(text)
	}
	return line
}

// failureText says why a question failed.
func failureText(now time.Time, f *cache.Failure) []string {
	why := resolver.ExtendedError{Code: f.Cause, Text: f.Text}.String()
	if o := f.Origin(); o.Zone != "" {
		why += " (zone " + o.Zone.String() + ": " + o.Reason + ")"
	}
	count := drawing.Count(f.Count, "time") + " in a row"
	if !f.Until.After(now) {
		return []string{why, count + ", may be tried again"}
	}
	return []string{why, count + ", not tried again yet"}
}

// delegationText lists the servers of a delegation with their addresses.
func delegationText(e cache.Entry) []string {
	if e.Delegation == nil {
		return nil
	}
	var lines []string
	for _, s := range e.Delegation.Servers {
		addrs := "no glue"
		if len(s.Addrs) > 0 {
			addrs = drawing.JoinAddrs(s.Addrs)
		}
		lines = append(lines, s.Name.String()+" "+addrs)
	}
	return lines
}

// maxText is how many bytes of one text from the network are shown.
const maxText = 400

// shorten makes a text printable, and cuts it where it is long.
func shorten(text string) string {
	text = resolver.Printable(text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + " …"
	}
	return text
}
