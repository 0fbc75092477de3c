package resolvertest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

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
// answers in everybody's place.
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
			rules = append(rules, rule{target: t, fault: f})
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

// flagCondition gives the condition that is one word.
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

// valueCondition adds a condition of two words.
func valueCondition(f Fault, word, value string) (Fault, error) {
	switch word {
	case "name":
		return f.When(Name(value)), checkName(value)
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

// parseAction reads a fault without its conditions. What follows the first word
// is a record in "add", and words otherwise.
func parseAction(action string) (Fault, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(action), " ")
	rest = strings.TrimSpace(rest)
	args := strings.Fields(rest)
	if f, ok := plainFaults(word); ok {
		if len(args) != 0 {
			return Fault{}, errArguments
		}
		return f, nil
	}
	switch word {
	case "add":
		return parseAdd(rest)
	case "forge":
		return parseForge(rest)
	case "replace":
		return parseReplace(rest)
	case "remove":
		return parseRemove(args)
	case "wrong-question":
		return parseWrongQuestion(args)
	case "set", "clear":
		return parseFlag(word == "set", args)
	}
	if len(args) != 1 {
		if isOneWordFault(word) {
			return Fault{}, errArguments
		}
		return Fault{}, errUnknownFault
	}
	return parseOneWord(word, args[0])
}

// plainFaults gives the faults that take no words.
func plainFaults(word string) (Fault, bool) {
	switch word {
	case "mend":
		return Mend(), true
	case "drop":
		return Drop(), true
	case "dead":
		return Dead(), true
	case "refuse":
		return Refuse(), true
	case "unreachable":
		return Unreachable(), true
	case "close":
		return CloseInstead(), true
	case "reset":
		return ResetInstead(), true
	case "truncate":
		return Truncated(), true
	case "wrong-id":
		return WrongID(), true
	case "wrong-qr":
		return NotAResponse(), true
	case "wrong-address":
		return WrongAddress(), true
	case "no-question":
		return NoQuestion(), true
	case "fold-case":
		return FoldCase(), true
	case "random-case":
		return RandomCase(), true
	case "cookies":
		return Cookies(), true
	case "require-cookies":
		return RequireCookies(), true
	case "bad-cookie":
		return BadCookie(), true
	case "wrong-cookie":
		return WrongCookie(), true
	case "garbage":
		return Garbage(), true
	}
	return Fault{}, false
}

// isOneWordFault reports whether a fault takes exactly one word.
func isOneWordFault(word string) bool {
	switch word {
	case "latency", "loss", "drip", "lame", "rcode", "no-edns", "wrong-opcode", "oversize", "cut", "udp-size":
		return true
	}
	return false
}

// parseOneWord reads the faults that take one word.
func parseOneWord(word, arg string) (Fault, error) {
	switch word {
	case "latency":
		d, err := parseDuration(arg)
		return Latency(d), err
	case "drip":
		d, err := parseDuration(arg)
		return Drip(d), err
	case "loss":
		p, err := parseProbability(arg)
		return Loss(p), err
	case "lame":
		return parseLame(arg)
	case "rcode":
		rcode, err := parseRcode(arg)
		return Rcode(rcode), err
	case "no-edns":
		return parseNoEDNS(arg)
	}
	n, err := parseNumber(arg)
	switch word {
	case "wrong-opcode":
		return WrongOpcode(n), err
	case "oversize":
		return Oversize(n), err
	case "cut":
		return Cut(n), err
	case "udp-size":
		return UDPSize(n), err
	}
	return Fault{}, errUnknownFault
}

func parseLame(arg string) (Fault, error) {
	switch arg {
	case "upward":
		return LameUpward(), nil
	case "refused":
		return LameRefused(), nil
	case "not-authoritative":
		return LameNotAuthoritative(), nil
	}
	return Fault{}, fmt.Errorf("lame upward, refused or not-authoritative, not %q", arg)
}

func parseNoEDNS(arg string) (Fault, error) {
	switch arg {
	case "formerr":
		return NoEDNS(EDNSFormErr), nil
	case "notimp":
		return NoEDNS(EDNSNotImp), nil
	case "ignore":
		return NoEDNS(EDNSIgnored), nil
	case "drop":
		return NoEDNS(EDNSDropped), nil
	}
	return Fault{}, fmt.Errorf("no-edns formerr, notimp, ignore or drop, not %q", arg)
}

// parseAdd reads `SECTION RECORD`.
func parseAdd(rest string) (Fault, error) {
	word, record, _ := strings.Cut(rest, " ")
	section, err := parseSection(word)
	if err != nil {
		return Fault{}, err
	}
	return Add(section, strings.TrimSpace(record)), nil
}

// parseReplace reads `RCODE [RECORD]`.
func parseReplace(rest string) (Fault, error) {
	word, record, _ := strings.Cut(rest, " ")
	rcode, err := parseRcode(word)
	if record = strings.TrimSpace(record); record == "" {
		return Replace(rcode), err
	}
	return Replace(rcode, record), err
}

// maxForged is how many packets a line of text may send before a reply. Attackers
// who guess send more, but nothing new happens after the first thousand.
const maxForged = 10_000

// parseForge reads `N FAULT; FAULT; …`.
func parseForge(rest string) (Fault, error) {
	count, actions, _ := strings.Cut(rest, " ")
	n, err := parseNumber(count)
	if err != nil {
		return Fault{}, err
	}
	if n > maxForged {
		return Fault{}, fmt.Errorf("%d forged packets are more than %d", n, maxForged)
	}
	var faults []Fault
	for action := range strings.SplitSeq(actions, ";") {
		f, err := parseAction(action)
		if err != nil {
			return Fault{}, fmt.Errorf("%q: %w", strings.TrimSpace(action), err)
		}
		faults = append(faults, f)
	}
	return Forged(n, faults...), nil
}

// parseRemove reads `SECTION TYPE` or `SECTION OWNER TYPE`.
func parseRemove(args []string) (Fault, error) {
	if len(args) != 2 && len(args) != 3 {
		return Fault{}, errArguments
	}
	section, err := parseSection(args[0])
	if err != nil {
		return Fault{}, err
	}
	rrtype, err := parseType(args[len(args)-1])
	if err != nil {
		return Fault{}, err
	}
	if len(args) == 3 {
		return RemoveName(section, args[1], rrtype), nil
	}
	return Remove(section, rrtype), nil
}

func parseWrongQuestion(args []string) (Fault, error) {
	if len(args) != 2 {
		return Fault{}, errArguments
	}
	rrtype, err := parseType(args[1])
	if err != nil {
		return Fault{}, err
	}
	return WrongQuestion(args[0], rrtype), checkName(args[0])
}

// parseFlag reads the names of flags.
func parseFlag(value bool, args []string) (Fault, error) {
	if len(args) != 1 {
		return Fault{}, errArguments
	}
	return Flag(args[0], value), nil
}

func parseSection(word string) (Section, error) {
	switch word {
	case "answer":
		return Answer, nil
	case "authority":
		return Authority, nil
	case "additional":
		return Additional, nil
	}
	return Answer, fmt.Errorf("section answer, authority or additional, not %q", word)
}

// parseType reads a type's mnemonic, TYPE123, or "*" for any.
func parseType(word string) (uint16, error) {
	if word == "*" {
		return dns.TypeANY, nil
	}
	return scenario.ParseType(word)
}

// maxRcode is the highest RCODE that header and OPT record can say (RFC 6891
// §6.1.3).
const maxRcode = 1<<12 - 1

func parseRcode(word string) (int, error) {
	if rcode, ok := dns.StringToRcode[strings.ToUpper(word)]; ok {
		return rcode, nil
	}
	if n, err := strconv.Atoi(word); err == nil && 0 <= n && n <= maxRcode {
		return n, nil
	}
	return 0, fmt.Errorf("unknown RCODE %q", word)
}

func parseNumber(word string) (int, error) {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", word, errNumber)
	}
	return int(n), nil
}

func parseDuration(word string) (time.Duration, error) {
	d, err := time.ParseDuration(word)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration such as 20ms", word)
	}
	return d, nil
}

// parseProbability reads 30% or 0.3.
func parseProbability(word string) (float64, error) {
	number, percent := strings.CutSuffix(word, "%")
	p, err := strconv.ParseFloat(number, 64)
	if percent {
		p /= 100
	}
	if err != nil || !(0 <= p && p <= 1) {
		return 0, fmt.Errorf("%q is no probability such as 30%%", word)
	}
	return p, nil
}
