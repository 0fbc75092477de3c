package debugpage

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// perPage is how many lines a table has, maxPages how many pages of them can be turned: all lines
// up to the last one that is shown are in memory while a page is made.
const (
	perPage  = 100
	maxPages = 50
)

// paging is which part of a table is shown.
type paging struct {
	Page        int // from 0
	First, Last int // lines shown, from 1; 0: none
	Total       int
	Prev, Next  string // queries of the pages beside this one; "": there is none
}

// turn returns the part of a table that a request asks for, and its links.
func turn(r *http.Request, total int) (p paging, from, to int) {
	p.Page, p.Total = pageOf(r), total
	from = min(p.Page*perPage, total)
	to = min(from+perPage, total)
	if from < to {
		p.First, p.Last = from+1, to
	}
	link := func(page int) string {
		query := r.URL.Query()
		query.Set("page", strconv.Itoa(page))
		return "?" + query.Encode()
	}
	if p.Page > 0 {
		p.Prev = link(p.Page - 1)
	}
	if to < total && p.Page+1 < maxPages {
		p.Next = link(p.Page + 1)
	}
	return p, from, to
}

// pageOf returns the number of the page that is asked for; nonsense is the first.
func pageOf(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil {
		return 0
	}
	return min(max(n, 0), maxPages-1)
}

// firsts keeps the first n of any number of values, in an order, in memory for 2n.
type firsts[T any] struct {
	n     int
	order func(a, b T) int
	kept  []T
	total int
}

func (f *firsts[T]) add(v T) {
	f.total++
	f.kept = append(f.kept, v)
	if len(f.kept) >= 2*f.n {
		f.cut()
	}
}

func (f *firsts[T]) cut() {
	slices.SortFunc(f.kept, f.order)
	f.kept = f.kept[:min(len(f.kept), f.n)]
}

// servers is the content of the page of servers.
type servers struct {
	paging
	Address, Sort string // as asked for
	Down          int    // how many of all are marked down
	Lines         []serverLine
}

type serverLine struct {
	Address, Route        string
	RTT, Ago, State, EDNS string
	Case, Cookies         string
	IsDown                bool
	Lost                  int
}

func (p *Page) servers(r *http.Request) (*servers, error) {
	free, err := p.slot(r.Context(), p.looking)
	if err != nil {
		return nil, err
	}
	defer free()
	query := r.URL.Query()
	s := &servers{Address: query.Get("address"), Sort: query.Get("sort")}
	order, ok := serverOrders[s.Sort]
	if !ok {
		s.Sort, order = "state", serverOrders["state"]
	}
	found := firsts[resolver.KnownServer]{n: (pageOf(r) + 1) * perPage, order: order}
	p.resolver.WalkServers(func(k resolver.KnownServer) bool {
		if strings.HasPrefix(k.Addr.Addr().String(), s.Address) {
			found.add(k)
			if k.Down {
				s.Down++
			}
		}
		return r.Context().Err() == nil
	})
	found.cut()
	now := p.resolver.Options().Now()
	var from, to int
	s.paging, from, to = turn(r, found.total)
	for _, k := range found.kept[min(from, len(found.kept)):min(to, len(found.kept))] {
		s.Lines = append(s.Lines, lineOf(now, k))
	}
	return s, nil
}

// serverOrders are the ways to sort servers, by the value of the parameter.
var serverOrders = map[string]func(a, b resolver.KnownServer) int{
	"state": func(a, b resolver.KnownServer) int {
		return cmp.Or(compareBool(b.Down, a.Down), cmp.Compare(b.Timeouts, a.Timeouts), byAddress(a, b))
	},
	"rtt":     func(a, b resolver.KnownServer) int { return cmp.Or(cmp.Compare(b.RTT, a.RTT), byAddress(a, b)) },
	"address": byAddress,
}

func byAddress(a, b resolver.KnownServer) int {
	return cmp.Or(a.Addr.Addr().Compare(b.Addr.Addr()), netip.AddrPort.Compare(a.Addr, b.Addr), strings.Compare(a.Route, b.Route))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// lineOf says what is known of a server.
func lineOf(now time.Time, k resolver.KnownServer) serverLine {
	line := serverLine{
		Address: k.Addr.String(), Route: k.Route, RTT: "–", Ago: "never", State: "up", EDNS: "not known yet",
		Case: "kept", Cookies: "none seen", IsDown: k.Down, Lost: k.Timeouts,
	}
	if k.RTT > 0 {
		line.RTT = strconv.FormatFloat(float64(k.RTT.Microseconds())/1000, 'f', 1, 64) + " ms"
	}
	if !k.Measured.IsZero() {
		line.Ago = span(now.Sub(k.Measured)) + " ago"
	}
	switch {
	case k.Down && k.DownTill.After(now):
		line.State = "marked down for " + span(k.DownTill.Sub(now))
	case k.Down:
		line.State = "marked down, next query is a probe"
	case k.Measured.IsZero() && k.Timeouts > 0:
		line.State = "silent so far"
	case k.Measured.IsZero():
		line.State = "not measured"
	}
	switch {
	case k.NoEDNS:
		line.EDNS = "no"
	case k.EDNS && k.NoOption:
		line.EDNS = "without options"
	case k.EDNS:
		line.EDNS = "yes"
	}
	if k.NoCase {
		line.Case = "lost"
	}
	if k.Cookies {
		line.Cookies = "required"
	}
	return line
}
