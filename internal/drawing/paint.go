package drawing

import (
	"fmt"
	"strings"

	"github.com/iterdns/iterdns/dnssec"
)

// paint is how a status looks. Each is also written out.
type paint struct{ fill, stroke, dash string }

// paintOf returns the colours on light paper.
func paintOf(status dnssec.Status) paint {
	switch status {
	case dnssec.Secure:
		return paint{"#e8f5e9", "#2e7d32", ""}
	case dnssec.Insecure:
		return paint{"#f3f3f3", "#6d6d6d", "6 4"}
	case dnssec.Bogus:
		return paint{"#ffebee", "#c62828", ""}
	case dnssec.Indeterminate:
	}
	return paint{"#fffde7", "#8a6d00", "2 3"}
}

// darkPaintOf returns the colours on dark paper.
func darkPaintOf(status dnssec.Status) paint {
	p := paintOf(status)
	switch status {
	case dnssec.Secure:
		p.fill, p.stroke = "#13291a", "#7bd389"
	case dnssec.Insecure:
		p.fill, p.stroke = "#25282d", "#a9b0b8"
	case dnssec.Bogus:
		p.fill, p.stroke = "#351719", "#ff8f87"
	case dnssec.Indeterminate:
		p.fill, p.stroke = "#2e2710", "#e3c15b"
	}
	return p
}

// Style returns the style sheet of the elements that are drawn. All of it is below the class
// picture.
func Style() string {
	var b strings.Builder
	b.WriteString(`.picture text { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 13px; }
.picture .title { font-weight: bold; font-size: 15px; }
.picture .name { font-weight: bold; }
.picture .why, .picture .link { font-style: italic; }
.picture .box, .picture .line { stroke-width: 2px; }
.picture .line { fill: none; }
`)
	writePaint(&b, "", "#ffffff", "#1b1d21", "#5f6368", paintOf)
	b.WriteString("@media (prefers-color-scheme: dark) {\n")
	writePaint(&b, "\t", "#17191d", "#e4e6ea", "#a4abb5", darkPaintOf)
	b.WriteString("}\n")
	return b.String()
}

func writePaint(b *strings.Builder, indent, paper, ink, faint string, paintOf func(dnssec.Status) paint) {
	fmt.Fprintf(b, "%s.picture .paper { fill: %s; }\n", indent, paper)
	fmt.Fprintf(b, "%s.picture text { fill: %s; }\n%[1]s.picture text.walk { fill: %[3]s; }\n", indent, ink, faint)
	for _, status := range []dnssec.Status{dnssec.Secure, dnssec.Insecure, dnssec.Bogus, dnssec.Indeterminate} {
		p := paintOf(status)
		fmt.Fprintf(b, "%s.picture text.%s, .picture .head.%[2]s { fill: %[3]s; }\n", indent, status, p.stroke)
		fmt.Fprintf(b, "%s.picture .box.%s { fill: %s; stroke: %s; stroke-dasharray: %s; }\n", indent, status, p.fill, p.stroke, dashes(p))
		fmt.Fprintf(b, "%s.picture .line.%s { stroke: %s; stroke-dasharray: %s; }\n", indent, status, p.stroke, dashes(p))
	}
	fmt.Fprintf(b, "%s.picture .box.way { fill: %s; stroke: %s; stroke-width: 1px; }\n", indent, paper, faint)
	fmt.Fprintf(b, "%s.picture .line.way { stroke: %s; stroke-width: 1px; }\n%[1]s.picture text.way, .picture .head.way { fill: %[2]s; }\n", indent, faint)
}

func dashes(p paint) string {
	if p.dash == "" {
		return "none"
	}
	return p.dash
}
