package roothints

import (
	"fmt"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// name reads a name, relative to the origin unless it ends with a dot.
func (p *parser) name(w word) (dnsname.Name, error) {
	if w.text == "@" {
		return p.origin, nil
	}
	text := w.text
	if !endsWithDot(text) {
		text += "."
		if !p.origin.IsRoot() {
			text += p.origin.String()
		}
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		return "", w.fail(fmt.Errorf("%s: %w", w.text, err))
	}
	return name, nil
}

// endsWithDot reports whether a name is absolute: its last dot must not be
// escaped, but the backslash before it may be.
func endsWithDot(name string) bool {
	rest, ok := strings.CutSuffix(name, ".")
	backslashes := len(rest) - len(strings.TrimRight(rest, `\`))
	return ok && backslashes%2 == 0
}

// checkTTL accepts seconds, and the sums of weeks, days, hours, minutes and seconds
// that other software writes, such as 6w or 1d12h.
func checkTTL(w word) error {
	const maxTTL = 1<<31 - 1 // RFC 2181 §8
	var total, n uint64
	digits := 0
	for _, c := range []byte(strings.ToLower(w.text)) {
		if '0' <= c && c <= '9' {
			n, digits = n*10+uint64(c-'0'), digits+1
			if n > maxTTL {
				return w.fail(fmt.Errorf("%w: %s", ErrTTL, w.text))
			}
			continue
		}
		unit := map[byte]uint64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}[c]
		if unit == 0 || digits == 0 {
			return w.fail(fmt.Errorf("%w: %s", ErrTTL, w.text))
		}
		total, n, digits = total+n*unit, 0, 0 // a file has too few digits to overflow it
	}
	if total+n > maxTTL {
		return w.fail(fmt.Errorf("%w: %s", ErrTTL, w.text))
	}
	return nil
}
