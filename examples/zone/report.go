package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// report is what is known of a zone, as -json prints it.
type report struct {
	Name    string   `json:"name"`
	Zone    string   `json:"zone"`
	Parent  string   `json:"parent,omitempty"`
	Local   bool     `json:"local,omitempty"`   // the resolver answers it itself
	Missing bool     `json:"missing,omitempty"` // the name does not exist
	Aliases []string `json:"aliases,omitempty"`
	Status  string   `json:"status"`
	Above   side     `json:"by_parent"`
	Own     side     `json:"by_zone"`
	Serial  uint32   `json:"serial,omitempty"`
	Asked   string   `json:"asked"`
	Servers []server `json:"servers"`
	Faults  []string `json:"faults,omitempty"`

	status dnssec.Status
}

// side is what the parent or the zone itself says: name servers, and DS or keys.
type side struct {
	Servers []string `json:"servers"`
	Keys    []string `json:"keys"`
	Note    string   `json:"note,omitempty"` // why Servers are not known; "": they are
}

// server is one address of a server, or a name without one.
type server struct {
	Addr    string   `json:"addr,omitempty"`
	Names   []string `json:"names"`
	Says    string   `json:"says"`
	Serial  *uint32  `json:"serial,omitempty"`
	Network string   `json:"network,omitempty"`
	RTT     string   `json:"rtt,omitempty"`
	NSID    string   `json:"nsid,omitempty"`
	Errors  []string `json:"extended_errors,omitempty"` // RFC 8914
	Records []string `json:"records,omitempty"`
	Lame    bool     `json:"lame,omitempty"`
	Failed  bool     `json:"failed,omitempty"`
}

// newReport makes a report, and lists what is wrong.
func newReport(z *resolver.Zone, a *resolver.ServerAnswers) *report {
	r := &report{
		Name: z.Name, Zone: z.Apex, Parent: z.Parent, Local: z.Local, Missing: z.Missing,
		Status: z.Status.String(), status: z.Status, Asked: drawing.QuestionText(a.Question),
	}
	for _, step := range z.Aliases {
		r.Aliases = append(r.Aliases, step.From+" "+drawing.AliasType(step.DNAME)+" "+step.To)
	}
	if z.Delegation != nil {
		for _, s := range z.Delegation.Servers {
			r.Above.Servers = append(r.Above.Servers, strings.TrimSpace(s.Name.String()+" "+drawing.JoinAddrs(s.Addrs)))
		}
	} else if z.Parent != "" {
		// Nobody who serves both tells what the zone above has.
		r.Above.Note = "its name servers are unknown: nobody refers to the zone"
	}
	for _, ds := range z.DS {
		r.Above.Keys = append(r.Above.Keys, fmt.Sprintf("DS %d %s", ds.KeyTag, dnssec.AlgorithmName(ds.Algorithm)))
	}
	for _, ns := range z.NS {
		r.Own.Servers = append(r.Own.Servers, ns.Ns)
	}
	for _, key := range z.DNSKEY {
		r.Own.Keys = append(r.Own.Keys, fmt.Sprintf("DNSKEY %d %s", key.KeyTag(), dnssec.AlgorithmName(key.Algorithm)))
	}
	if z.SOA != nil {
		r.Serial = z.SOA.Serial
	}
	if z.Problem != nil {
		r.Faults = append(r.Faults, resolver.Explain(z.Problem))
	}
	r.compareServers(z)
	for _, s := range a.Servers {
		r.addServer(s)
	}
	if !a.Agree() {
		r.Faults = append(r.Faults, fmt.Sprintf("the servers disagree (serials %v)", a.Serials()))
	}
	if a.Omitted > 0 {
		r.Faults = append(r.Faults, fmt.Sprintf("%d servers and addresses were not asked", a.Omitted))
	}
	return r
}

// compareServers notes the name servers that only the parent or only the zone names.
func (r *report) compareServers(z *resolver.Zone) {
	if z.Delegation == nil || len(z.NS) == 0 {
		return
	}
	for _, s := range z.Delegation.Servers {
		if !slices.ContainsFunc(z.NS, func(ns *dns.NS) bool { return dns.CanonicalName(ns.Ns) == s.Name.String() }) {
			r.Faults = append(r.Faults, "only the parent names "+s.Name.String())
		}
	}
	for _, ns := range z.NS {
		if !slices.ContainsFunc(r.Above.Servers, func(s string) bool { return strings.HasPrefix(s+" ", dns.CanonicalName(ns.Ns)+" ") }) {
			r.Faults = append(r.Faults, "only the zone names "+ns.Ns)
		}
	}
}

func (r *report) addServer(a resolver.ServerAnswer) {
	s := server{Names: a.Names, Says: "no answer", Lame: a.Lame, Failed: !a.Answered(), Network: a.Network, NSID: a.NSID}
	if a.Addr.IsValid() {
		s.Addr = a.Addr.Addr().String()
	}
	if a.Kind != "" {
		s.Says = a.Kind + ", " + drawing.RcodeText(a.Rcode)
	}
	if a.Network != "" {
		s.RTT = a.RTT.Round(100 * time.Microsecond).String()
	}
	if a.HasSerial {
		s.Serial = &a.Serial
	}
	if a.Err != nil {
		s.Says += " (" + drawing.Brief(a.Err) + ")"
	}
	for _, e := range a.Extended {
		s.Errors = append(s.Errors, drawing.ExtendedText(e))
	}
	for _, rr := range a.Answer {
		s.Records = append(s.Records, resolver.PrintableRR(rr))
	}
	r.Servers = append(r.Servers, s)
	switch {
	case a.Lame:
		r.Faults = append(r.Faults, s.Addr+" ("+strings.Join(a.Names, ", ")+") is lame")
	case s.Failed:
		r.Faults = append(r.Faults, strings.TrimSpace(s.Addr+" "+strings.Join(a.Names, ", "))+": "+s.Says)
	}
}

// line returns a server as a line of text.
func (s server) line() string {
	parts := []string{s.Addr, strings.Join(s.Names, ", "), s.Says}
	if s.Serial != nil {
		parts = append(parts, fmt.Sprintf("serial %d", *s.Serial))
	}
	if s.Network != "" {
		parts = append(parts, s.Network+" "+s.RTT)
	}
	if s.NSID != "" {
		parts = append(parts, "nsid "+resolver.Printable(s.NSID))
	}
	parts = append(parts, s.Errors...)
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "  ")
}

// summary returns what the zone is, in lines.
func (r *report) summary() []string {
	lines := []string{r.Name + " is in the zone " + r.Zone + ", which is " + r.Status}
	if r.Parent != "" {
		lines = append(lines, "below "+r.Parent)
	}
	if r.Local {
		lines = append(lines, "answered by the resolver itself")
	}
	if r.Missing {
		lines = append(lines, "the name does not exist")
	}
	return append(lines, r.Aliases...)
}

// text returns the report for people: parent and zone side by side, and the servers below.
func (r *report) text() string {
	var b strings.Builder
	for _, line := range r.summary() {
		fmt.Fprintln(&b, line)
	}
	if !r.Local {
		above, own := append([]string{"by the parent"}, r.Above.lines()...), append([]string{"by the zone"}, r.Own.lines()...)
		width := 0
		for _, line := range above {
			width = max(width, len(line))
		}
		fmt.Fprintln(&b)
		for i := range max(len(above), len(own)) {
			fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("  %-*s   %s", width, at(above, i), at(own, i)), " "))
		}
		fmt.Fprintf(&b, "\nasked for %s:\n", r.Asked)
		for _, s := range r.Servers {
			fmt.Fprintln(&b, "  "+s.line())
		}
	}
	for _, fault := range r.Faults {
		fmt.Fprintln(&b, "! "+fault)
	}
	return b.String()
}

func (s side) lines() []string {
	lines := slices.Concat(s.Servers, s.Keys)
	if s.Note != "" {
		lines = slices.Insert(lines, 0, s.Note)
	}
	return lines
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// svg draws the report.
func (r *report) svg() string {
	panels := [][]drawing.Panel{{
		{Name: "by the parent " + r.Parent, Status: r.status, Lines: r.Above.lines()},
		{Name: "by the zone " + r.Zone, Status: r.status, Lines: r.Own.lines()},
	}}
	for _, s := range r.Servers {
		status := dnssec.Secure
		if s.Failed {
			status = dnssec.Bogus
		}
		panels = append(panels, []drawing.Panel{{Name: s.line(), Status: status, Lines: s.Records}})
	}
	return drawing.PanelsSVG(r.Zone+" — "+r.Asked, r.summary()[0], r.status, r.Faults, panels)
}
