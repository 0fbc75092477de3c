package resolver_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/scenario"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestScenarios plays the files in testdata, whose form the package comment of
// internal/scenario describes.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sc, err := scenario.Parse(string(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			synctest.Test(t, func(t *testing.T) { play(t, file, sc) })
		})
	}
}

// player plays one scenario.
type player struct {
	t        *testing.T
	file     string
	in       *resolvertest.Internet
	change   []func(*resolver.Options)
	resolver *resolver.Resolver // made by the first question
	took     time.Duration      // by the last question
	zones    string             // as the file begins
}

func play(t *testing.T, file string, sc *scenario.Scenario) {
	p := &player{t: t, file: file, in: resolvertest.New(t, sc.Network)}
	var err error
	if p.zones, err = scenario.Keep(sc.Network, func(s scenario.Section) bool { return s.Kind == "zone" }); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, step := range sc.Steps {
		p.step(step)
	}
	if t.Failed() {
		t.Logf("queries since the last question began:\n%s", resolvertest.Table(p.in.Log()))
	}
}

func (p *player) step(step scenario.Step) {
	place := fmt.Sprintf("%s:%d: %s", p.file, step.Section.Line, step.Section.Header())
	switch {
	case step.Ask != nil:
		p.ask(place, step.Ask)
	case step.Sleep != nil:
		time.Sleep(*step.Sleep)
	case step.Option != nil:
		p.option(place, *step.Option)
	case step.Expect != nil:
		p.expect(place, step.Expect)
	case step.NegativeAnchors != nil:
		anchors := make([]resolver.NegativeTrustAnchor, len(*step.NegativeAnchors))
		for i, zone := range *step.NegativeAnchors {
			anchors[i].Zone = zone
		}
		p.begin()
		if err := p.resolver.SetNegativeTrustAnchors(anchors); err != nil {
			p.t.Fatalf("%s: %v", place, err)
		}
	case step.Update != nil:
		if err := p.in.Update(*step.Update); err != nil {
			p.t.Fatalf("%s: %v", place, err)
		}
	}
}

// ask puts a question and compares the result, as text that could be put into the
// scenario.
func (p *player) ask(place string, ask *scenario.Ask) {
	p.begin()
	p.in.ResetLog()
	start := time.Now()
	result, err := p.resolver.Resolve(p.t.Context(), ask.Name, ask.Type)
	p.took = time.Since(start)
	synctest.Wait() // for what goes on beside the question, such as priming, to send its queries too
	if want, got := expected(ask), received(ask, result, err); got != want {
		p.t.Errorf("%s\ngot:\n%s\nwant:\n%s", place, got, want)
	}
}

// begin makes the resolver.
func (p *player) begin() {
	if p.resolver == nil {
		p.resolver = p.in.Resolver(p.t, p.change...)
	}
}

// expected writes what a scenario wants.
func expected(ask *scenario.Ask) string {
	if ask.Error {
		return strings.Join(append([]string{"error"}, ask.Words...), " ")
	}
	var lines []string
	lines = append(lines, strings.TrimSpace(dns.RcodeToString[ask.Rcode]+" "+ask.Status+" "+ask.Kind))
	lines = append(lines, inOrder(ask.Answer)...)
	if ask.HasAuthority {
		lines = append(lines, "authority:")
		lines = append(lines, inOrder(ask.Authority)...)
	}
	return strings.Join(lines, "\n")
}

// received writes a result the same way, as far as the scenario looks at it.
func received(ask *scenario.Ask, result *resolver.Result, err error) string {
	isMissing := func(word string) bool { return !strings.Contains(err.Error(), word) }
	switch {
	case err != nil && ask.Error && !slices.ContainsFunc(ask.Words, isMissing):
		return expected(ask)
	case err != nil:
		return "error " + err.Error()
	}
	status := ""
	if ask.Status != "" || ask.Error {
		status = " " + result.Status.String()
	}
	if ask.Kind != "" {
		kind := "fresh"
		switch {
		case result.Stale:
			kind = "stale"
		case result.Fallback:
			kind = "fallback"
		}
		status += " " + kind
	}
	lines := []string{dns.RcodeToString[result.Rcode] + status}
	lines = append(lines, inOrder(texts(result.Answer))...)
	if ask.HasAuthority {
		lines = append(lines, "authority:")
		lines = append(lines, inOrder(texts(result.Authority))...)
	}
	return strings.Join(lines, "\n")
}

// texts writes records in zone-file text, without signatures and with owners in
// lower case, which questions spell at random.
func texts(rrs []dns.RR) []string {
	var lines []string
	for _, rr := range rrs {
		if rr.Header().Rrtype == dns.TypeRRSIG {
			continue
		}
		rr = dns.Copy(rr)
		rr.Header().Name = strings.ToLower(rr.Header().Name)
		lines = append(lines, rr.String())
	}
	return lines
}

// inOrder puts the records of each RRset in one order, and leaves the order of
// the RRsets, which is that of the alias chain.
func inOrder(lines []string) []string {
	ordered := slices.Clone(lines)
	for start := 0; start < len(ordered); {
		end := start + 1
		for end < len(ordered) && rrset(ordered[end]) == rrset(ordered[start]) {
			end++
		}
		slices.SortFunc(ordered[start:end], cmp.Compare)
		start = end
	}
	return ordered
}

// rrset returns owner and type of a record's text.
func rrset(line string) string {
	const owner, rrtype = 0, 3
	fields := strings.Fields(line)
	return fields[owner] + " " + fields[rrtype]
}

func (p *player) option(place string, o scenario.Option) {
	if p.resolver != nil {
		p.t.Fatalf("%s: an option must come before the first question", place)
	}
	if o.Name == "route" {
		route, err := resolver.ParseRoute(o.Value)
		if err != nil {
			p.t.Fatalf("%s: %v", place, err)
		}
		p.change = append(p.change, func(o *resolver.Options) { o.Routes = append(o.Routes, route) })
		return
	}
	switch o.Name {
	case "fallback":
		beyond := resolvertest.New(p.t, p.zones).Resolver(p.t)
		p.in.Handle(o.Value, dns.HandlerFunc(beyond.ServeDNS))
		p.change = append(p.change, func(ro *resolver.Options) { ro.Fallback = &resolver.Route{Servers: server(o.Value)} })
		return
	case "clock":
		off, err := time.ParseDuration(o.Value)
		if err != nil {
			p.t.Fatalf("%s: %v", place, err)
		}
		p.change = append(p.change, func(o *resolver.Options) {
			o.SignatureTime = func() time.Time { return time.Now().Add(off) }
		})
		return
	}
	settings := map[string]func(*resolver.Options){
		"minimise=relaxed": func(o *resolver.Options) { o.Minimise = resolver.MinimiseRelaxed },
		"minimise=strict":  func(o *resolver.Options) { o.Minimise = resolver.MinimiseStrict },
		"minimise=off":     func(o *resolver.Options) { o.Minimise = resolver.MinimiseOff },
		"family=auto":      func(o *resolver.Options) { o.Family = resolver.FamilyAuto },
		"family=ipv4":      func(o *resolver.Options) { o.Family = resolver.FamilyIPv4Only },
		"family=ipv6":      func(o *resolver.Options) { o.Family = resolver.FamilyIPv6Only },
		"validation=on":    func(o *resolver.Options) { o.Validation = resolver.Validate },
		"validation=off":   func(o *resolver.Options) { o.Validation = resolver.ValidateOff },
		"case=plain":       func(o *resolver.Options) { o.DisableCaseRandomisation = true },
		"stale=on":         serveStale,
		"stale=bogus":      func(o *resolver.Options) { o.ServeStaleOverBogus = true },
		"servers=public":   func(o *resolver.Options) { o.AllowServer = nil },
	}
	set, ok := settings[o.Name+"="+o.Value]
	if !ok {
		p.t.Fatalf("%s: unknown option", place)
	}
	p.change = append(p.change, set)
}

func (p *player) expect(place string, e *scenario.Expect) {
	switch e.What {
	case "network":
		if got := string(p.resolver.Stats().Network); got != e.Network {
			p.t.Errorf("%s: got %s", place, got)
		}
	case "time":
		if p.took != e.Time && !(e.AtMost && p.took < e.Time) {
			p.t.Errorf("%s: took %v, want %v", place, p.took, e.Time)
		}
	case "queries":
		filters := p.filters(place, e.Filters)
		if got := p.in.Count(filters...); got != e.Count && !(e.AtMost && got < e.Count) {
			p.t.Errorf("%s: got %d queries, want %d:\n%s", place, got, e.Count, resolvertest.Table(p.in.Log(filters...)))
		}
	}
}

func (p *player) filters(place string, words [][2]string) []resolvertest.Filter {
	var filters []resolvertest.Filter
	for _, w := range words {
		switch w[0] {
		case "to":
			filters = append(filters, resolvertest.To(w[1]))
		case "name":
			filters = append(filters, resolvertest.Name(w[1]))
		case "not-name":
			filters = append(filters, resolvertest.Not(resolvertest.Name(w[1])))
		case "over":
			filters = append(filters, resolvertest.Over(w[1]))
		case "type":
			qtype, err := scenario.ParseType(w[1])
			if err != nil {
				p.t.Fatalf("%s: %v", place, err)
			}
			filters = append(filters, resolvertest.Type(qtype))
		}
	}
	return filters
}
