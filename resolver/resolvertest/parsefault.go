package resolvertest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scenario"
)

// parseFaults reads a fault section: the header names the servers, each line is
// one fault.
func parseFaults(s scenario.Section) ([]rule, error) {
	if len(s.Args) == 0 {
		return nil, s.Errorf(s.Line, "a fault section needs the servers it is for")
	}
	var targets []target
	for _, word := range s.Args {
		t, err := parseTarget(word)
		if err != nil {
			return nil, s.Errorf(s.Line, "%w", err)
		}
		targets = append(targets, t)
	}
	return parseRules(s, targets)
}

// parseIntercept reads an intercept section: each line is a fault of the box that
// answers in place of all servers.
func parseIntercept(s scenario.Section) ([]rule, error) {
	if len(s.Args) > 0 {
		return nil, s.Errorf(s.Line, "an intercept section takes no words in its header")
	}
	return parseRules(s, []target{{box: true}})
}

func parseRules(s scenario.Section, targets []target) ([]rule, error) {
	var rules []rule
	for _, line := range s.Lines() {
		f, err := parseFault(line.Text)
		if err == nil {
			err = f.err
		}
		if err != nil {
			return nil, s.Errorf(line.Number, "%q: %w", line.Text, err)
		}
		for _, t := range targets {
			rules = append(rules, rule{target: t, fault: f, from: s, line: line.Number})
		}
	}
	return rules, nil
}

var (
	errUnknownFault = errors.New("unknown fault")
	errArguments    = errors.New("wrong number of words")
	errCondition    = errors.New("unknown condition")
	errNumber       = errors.New("not a number from 0 to 65535")
	errNoColon      = errors.New("conditions end with a colon and a blank")
)

// ParseFault reads a fault as a line of a fault section has it, such as
//
//	when udp type A first 3: rcode SERVFAIL
func ParseFault(line string) (Fault, error) {
	f, err := parseFault(line)
	if err == nil {
		err = f.err
	}
	if err != nil {
		return Fault{}, fmt.Errorf("%q: %w", line, err)
	}
	return f, nil
}

func parseFault(line string) (Fault, error) {
	line = strings.TrimSpace(line)
	rest, conditional := strings.CutPrefix(line, "when ")
	if !conditional {
		return parseAction(line)
	}
	conditions, action, ok := strings.Cut(rest, ": ")
	if !ok {
		return Fault{}, errNoColon
	}
	f, err := parseAction(action)
	if err != nil {
		return Fault{}, err
	}
	return parseConditions(f, strings.Fields(conditions))
}

// parseConditions adds the conditions before the colon to a fault.
func parseConditions(f Fault, words []string) (Fault, error) {
	for len(words) > 0 {
		if flag, ok := flagCondition(words[0]); ok {
			f, words = f.When(flag), words[1:]
			continue
		}
		if len(words) < 2 {
			return f, fmt.Errorf("%w %q", errCondition, words[0])
		}
		var err error
		if f, err = valueCondition(f, words[0], words[1]); err != nil {
			return f, err
		}
		words = words[2:]
	}
	return f, nil
}

// flagCondition returns the condition that is one word.
func flagCondition(word string) (Filter, bool) {
	switch word {
	case "udp", "tcp":
		return Over(word), true
	case "do":
		return func(q Query) bool { return q.DO }, true
	case "rd":
		return func(q Query) bool { return q.RD }, true
	case "edns":
		return func(q Query) bool { return q.EDNS }, true
	case "no-edns":
		return func(q Query) bool { return !q.EDNS }, true
	case "cookie":
		return func(q Query) bool { return q.Cookie != nil }, true
	case "no-cookie":
		return func(q Query) bool { return q.Cookie == nil }, true
	}
	return nil, false
}

// naming notes the name that a condition of the fault has.
func (f Fault) naming(text string) (Fault, error) {
	name, err := dnsname.Parse(text)
	if err == nil {
		f.names = append(f.names[:len(f.names):len(f.names)], name)
	}
	return f, err
}

// valueCondition adds a condition of two words.
func valueCondition(f Fault, word, value string) (Fault, error) {
	switch word {
	case "name":
		return f.When(Name(value)).naming(value)
	case "below":
		return f.When(Below(value)), checkName(value)
	case "type":
		rrtype, err := parseType(value)
		return f.When(Type(rrtype)), err
	case "not-type":
		rrtype, err := parseType(value)
		return f.When(Not(Type(rrtype))), err
	}
	n, err := parseNumber(value)
	switch word {
	case "first":
		return f.First(n), err
	case "after":
		return f.After(n), err
	case "every":
		return f.Every(n), err
	}
	return f, fmt.Errorf("%w %q", errCondition, word)
}
