package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/zonetext"
)

// Scenario is a scenario file: a network, and what happens in it, in order.
type Scenario struct {
	// Doc is the comment that begins the file.
	Doc string
	// Network is the text of the zones and faults before the first other section,
	// the rest blanked, so that its line numbers are the file's.
	Network string
	// Steps are the sections after that.
	Steps []Step
}

// Step is one thing that happens. Exactly one of the pointers is set.
type Step struct {
	Section Section
	Ask     *Ask
	Sleep   *time.Duration
	Option  *Option
	Expect  *Expect
	// NegativeAnchors are the zones that replace the negative trust anchors.
	NegativeAnchors *[]string
	// Update is the text of a zone, fault or intercept section that changes the
	// network, blanked like Network.
	Update *string
}

// Ask is a question to the resolver and the result it must have:
//
//	-- ask www.shop.example. A --
//	NOERROR insecure
//	www.shop.example. 300 IN A 192.0.2.80
//	authority:
//	shop.example. 300 IN SOA …
//
// or `error` with words that the error's text must have.
type Ask struct {
	Name string
	Type uint16
	// Error says that the question must fail, with each of Words in the text of
	// the error.
	Error bool
	Words []string
	// Rcode and Status are those of the result; any status matches if it is "".
	Rcode  int
	Status string
	// Kind is stale, fallback or fresh, which is neither; "": not looked at.
	Kind string
	// Answer holds the records of the answer section, signatures apart, in
	// zone-file text as dns.RR prints it.
	Answer []string
	// Authority holds those of the authority section, if HasAuthority.
	Authority    []string
	HasAuthority bool
}

// Option is a setting of the resolver, `-- option minimise=strict --`. It must
// come before the first question.
type Option struct{ Name, Value string }

// Expect is a bound on the queries or the time of the last question, or what it has found out
// about the network:
//
//	-- expect queries 3 --
//	-- expect queries <= 4 to 198.51.100.3 name www.shop.example. type A over udp --
//	-- expect time <= 500ms --
//	-- expect network closed --
type Expect struct {
	// What is "queries", "time" or "network".
	What string
	// AtMost says that less than the value passes too.
	AtMost bool
	Count  int
	Time   time.Duration
	// Network is the name of what the network lets through.
	Network string
	// Filters choose the queries that are counted: words "to", "name", "not-name",
	// "type", "over", each with its value.
	Filters [][2]string
}

// Parse reads a scenario file.
func Parse(text string) (*Scenario, error) {
	doc, sections, err := Split(text)
	if err != nil {
		return nil, err
	}
	started := false
	isSetup := make(map[int]bool)
	sc := &Scenario{Doc: doc}
	for _, s := range sections {
		if isNetwork(s) && !started {
			isSetup[s.Line] = true
			continue
		}
		started = started || s.Kind != "option"
		step, err := parseStep(text, s)
		if err != nil {
			return nil, err
		}
		sc.Steps = append(sc.Steps, step)
	}
	sc.Network, err = Keep(text, func(s Section) bool { return isSetup[s.Line] })
	return sc, err
}

func isNetwork(s Section) bool {
	return s.Kind == "zone" || s.Kind == "fault" || s.Kind == "intercept"
}

func parseStep(text string, s Section) (Step, error) {
	step := Step{Section: s}
	var err error
	switch s.Kind {
	case "zone", "fault", "intercept":
		var update string
		update, err = Keep(text, func(other Section) bool { return other.Line == s.Line })
		step.Update = &update
	case "ask":
		step.Ask, err = parseAsk(s)
	case "sleep":
		step.Sleep, err = parseSleep(s)
	case "option":
		step.Option, err = parseOption(s)
	case "expect":
		step.Expect, err = parseExpect(s)
	case "negative-anchors":
		zones := s.Args
		step.NegativeAnchors, err = &zones, noBody(s)
	default:
		err = s.Errorf(s.Line, "unknown kind of section")
	}
	return step, err
}

func parseSleep(s Section) (*time.Duration, error) {
	if len(s.Args) != 1 {
		return nil, s.Errorf(s.Line, "sleep takes one duration")
	}
	d, err := time.ParseDuration(s.Args[0])
	if err != nil || d < 0 {
		return nil, s.Errorf(s.Line, "%q is no duration such as 300s", s.Args[0])
	}
	return &d, noBody(s)
}

func parseOption(s Section) (*Option, error) {
	if len(s.Args) != 1 {
		return nil, s.Errorf(s.Line, "option takes one word such as minimise=strict")
	}
	name, value, ok := strings.Cut(s.Args[0], "=")
	if !ok || name == "" || value == "" {
		return nil, s.Errorf(s.Line, "%q is no option such as minimise=strict", s.Args[0])
	}
	return &Option{Name: name, Value: value}, noBody(s)
}

// noBody returns an error if there is text below a header that needs none.
func noBody(s Section) error {
	if lines := s.Lines(); len(lines) > 0 {
		return s.Errorf(lines[0].Number, "nothing can stand here")
	}
	return nil
}

func parseExpect(s Section) (*Expect, error) {
	args := s.Args
	if len(args) > 1 && args[1] == "<=" {
		args = slices.Delete(slices.Clone(args), 1, 2)
	}
	e := &Expect{AtMost: len(args) < len(s.Args)}
	if len(args) < 2 {
		return nil, s.Errorf(s.Line, "expect queries, time or network, and a value")
	}
	e.What = args[0]
	var err error
	switch e.What {
	case "queries":
		if e.Count, err = strconv.Atoi(args[1]); err != nil || e.Count < 0 {
			return nil, s.Errorf(s.Line, "%q is no number of queries", args[1])
		}
	case "time":
		if e.Time, err = time.ParseDuration(args[1]); err != nil || e.Time < 0 {
			return nil, s.Errorf(s.Line, "%q is no duration such as 500ms", args[1])
		}
	case "network":
		if e.Network = args[1]; !slices.Contains([]string{"open", "tcp", "closed"}, e.Network) || e.AtMost || len(args) > 2 {
			return nil, s.Errorf(s.Line, "expect network open, tcp or closed")
		}
	default:
		return nil, s.Errorf(s.Line, "expect queries or time, or network, not %q", e.What)
	}
	if e.Filters, err = parseFilters(s, args[2:]); err != nil {
		return nil, err
	}
	return e, noBody(s)
}

func parseFilters(s Section, words []string) ([][2]string, error) {
	var filters [][2]string
	known := []string{"to", "name", "not-name", "type", "over"}
	for ; len(words) > 0; words = words[2:] {
		if len(words) < 2 || !slices.Contains(known, words[0]) {
			return nil, s.Errorf(s.Line, "%q is no condition with a value; there are %s", words[0], strings.Join(known, ", "))
		}
		filters = append(filters, [2]string{words[0], words[1]})
	}
	return filters, nil
}

func parseAsk(s Section) (*Ask, error) {
	if len(s.Args) != 2 {
		return nil, s.Errorf(s.Line, "ask takes a name and a type")
	}
	qtype, err := ParseType(s.Args[1])
	if err != nil {
		return nil, s.Errorf(s.Line, "%w", err)
	}
	ask := &Ask{Name: s.Args[0], Type: qtype}
	lines := s.Lines()
	if len(lines) == 0 {
		return nil, s.Errorf(s.Line, "ask needs the expected result below it")
	}
	if err := ask.parseStatus(s, lines[0]); err != nil {
		return nil, err
	}
	return ask, ask.parseRecords(s, lines[1:])
}

// parseStatus reads the line `RCODE status`, or `error word …`.
func (a *Ask) parseStatus(s Section, line Line) error {
	words := strings.Fields(line.Text)
	if words[0] == "error" {
		a.Error, a.Words = true, words[1:]
		return nil
	}
	rcode, ok := dns.StringToRcode[words[0]]
	if !ok || len(words) > 3 {
		return s.Errorf(line.Number, "an RCODE and a status, or error, not %q", line.Text)
	}
	a.Rcode = rcode
	if len(words) == 1 {
		return nil
	}
	if len(words) == 3 {
		if a.Kind = words[2]; !slices.Contains([]string{"stale", "fallback", "fresh"}, a.Kind) {
			return s.Errorf(line.Number, "an RCODE and a status, and stale, fallback or fresh, not %q", a.Kind)
		}
	}
	a.Status = words[1]
	switch a.Status {
	case "secure", "insecure", "indeterminate":
		return nil
	}
	return s.Errorf(line.Number, "status secure, insecure or indeterminate, not %q", a.Status)
}

// parseRecords reads the records of the sections.
func (a *Ask) parseRecords(s Section, lines []Line) error {
	section := &a.Answer
	for _, line := range lines {
		if line.Text == "authority:" {
			section, a.HasAuthority = &a.Authority, true
			continue
		}
		rr, err := zonetext.NewRR(line.Text)
		if err != nil {
			return s.Errorf(line.Number, "%w", err)
		}
		if rr == nil || a.Error {
			return s.Errorf(line.Number, "no record can stand here: %q", line.Text)
		}
		*section = append(*section, rr.String())
	}
	return nil
}

// ParseType reads a type's mnemonic or TYPE123 (RFC 3597 §5).
func ParseType(word string) (uint16, error) {
	if rrtype, ok := dns.StringToType[strings.ToUpper(word)]; ok {
		return rrtype, nil
	}
	if digits, ok := strings.CutPrefix(strings.ToUpper(word), "TYPE"); ok {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return uint16(n), nil
		}
	}
	return 0, fmt.Errorf("unknown type %q", word)
}
