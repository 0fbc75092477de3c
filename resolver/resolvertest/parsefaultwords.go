package resolvertest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/scenario"
	"github.com/iterdns/iterdns/internal/wire"
)

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
	if strings.EqualFold(word, wire.RcodeName(dns.RcodeBadVers)) {
		return dns.RcodeBadVers, nil // under the name of TSIG's BADSIG to miekg/dns
	}
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
