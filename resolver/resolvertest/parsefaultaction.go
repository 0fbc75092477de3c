package resolvertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// parseAction reads a fault without its conditions. What follows the first word
// is a record in "add", and words otherwise.
func parseAction(action string) (Fault, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(action), " ")
	rest = strings.TrimSpace(rest)
	args := strings.Fields(rest)
	if plain, ok := plainFaults[word]; ok {
		if len(args) != 0 {
			return Fault{}, errArguments
		}
		return plain(), nil
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
	switch {
	case !slices.Contains(oneWordFaults, word):
		return Fault{}, unknownFault(word)
	case len(args) != 1:
		return Fault{}, errArguments
	}
	return parseOneWord(word, args[0])
}

// plainFaults are the faults that take no words.
var plainFaults = map[string]func() Fault{
	"mend":            Mend,
	"drop":            Drop,
	"dead":            Dead,
	"refuse":          Refuse,
	"unreachable":     Unreachable,
	"close":           CloseInstead,
	"reset":           ResetInstead,
	"truncate":        Truncated,
	"wrong-id":        WrongID,
	"wrong-qr":        NotAResponse,
	"wrong-address":   WrongAddress,
	"no-question":     NoQuestion,
	"fold-case":       FoldCase,
	"random-case":     RandomCase,
	"cookies":         Cookies,
	"require-cookies": RequireCookies,
	"bad-cookie":      BadCookie,
	"wrong-cookie":    WrongCookie,
	"garbage":         Garbage,
}

// oneWordFaults are the faults that take exactly one word.
var oneWordFaults = []string{"latency", "loss", "drip", "lame", "rcode", "no-edns", "wrong-opcode", "oversize", "cut", "udp-size"}

// otherFaults are the faults that take any other number of words, or have a syntax of their own.
var otherFaults = []string{"add", "forge", "replace", "remove", "wrong-question", "set", "clear"}

// unknownFault says which fault may be meant by a word that is none.
func unknownFault(word string) error {
	lower, upper := strings.ToLower(word), strings.ToUpper(word)
	known := slices.Concat(slices.Collect(maps.Keys(plainFaults)), oneWordFaults, otherFaults)
	_, isRcode := dns.StringToRcode[upper]
	switch {
	case slices.Contains(known, lower):
		return fmt.Errorf("%w: %s?", errUnknownFault, lower)
	case isRcode:
		return fmt.Errorf("%w: rcode %s?", errUnknownFault, upper)
	case lower == "timeout":
		return fmt.Errorf("%w: drop, or dead, which takes no TCP connections either?", errUnknownFault)
	}
	slices.Sort(known)
	return fmt.Errorf("%w; there are %s", errUnknownFault, strings.Join(known, ", "))
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
	return Fault{}, unknownFault(word)
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
